//! Exclusions: made one by one or many at once, removed, and made ready for intake.

mod rules;

pub use rules::{Facts, Rules};

use super::audit::{self, Actor, Deed};
use super::change::to_its_end;
use super::{Catalog, ChangeError, InvalidValue, Snapshot};
use crate::limits;
use crate::model::{ExclusionId, ExclusionKind, SubscriptionId, UnixMs};
use crate::store::StoreError;
use crate::store::configured::ExclusionRow;
use crate::store::db::Connection;
use serde_json::Map;
use std::collections::HashSet;
use std::sync::Arc;

/// A rule about whose events are kept but pushed to nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// Unique in the installation.
    pub id: ExclusionId,
    /// Whose.
    pub subscription: SubscriptionId,
    /// What it looks at.
    pub kind: ExclusionKind,
    /// What it matches; `*` stands for any text.
    pub pattern: String,
    /// Made when.
    pub created_at: UnixMs,
}

/// What a person sets of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExclusionValues {
    /// What it looks at.
    pub kind: ExclusionKind,
    /// What it matches.
    pub pattern: String,
}

/// A rule from its row.
fn of_row(row: ExclusionRow) -> Exclusion {
    let ExclusionRow { id, subscription, kind, pattern, created_at } = row;
    Exclusion { id, subscription, kind, pattern, created_at }
}

impl ExclusionValues {
    /// The values in the form in which they are kept.
    fn checked(self) -> Result<Self, InvalidValue> {
        let wrong = |problem: String| Err(InvalidValue::new("pattern", problem));
        let Self { kind, pattern } = self;
        if pattern.is_empty() || pattern.len() > limits::ID_BYTES || pattern.chars().any(char::is_control) {
            return wrong(format!("must have 1 to {} bytes, and no control characters", limits::ID_BYTES));
        }
        if pattern.chars().all(|c| c == '*') {
            return wrong(String::from("would exclude everything: to send nothing, turn the webhooks off"));
        }
        match kind {
            ExclusionKind::Visitor | ExclusionKind::Account => Ok(Self { kind, pattern }),
            ExclusionKind::Host if pattern.contains(['/', ':', ' ', '@']) => {
                wrong(String::from("must be a host only, like app.example.com or *.example.com"))
            }
            ExclusionKind::Host => Ok(Self { kind, pattern: pattern.to_ascii_lowercase() }),
            ExclusionKind::Ip if pattern.contains('*') => Ok(Self { kind, pattern }),
            ExclusionKind::Ip => match rules::parse_network(&pattern) {
                Some(network) if network.prefix_len() == network.max_prefix_len() => {
                    Ok(Self { kind, pattern: network.addr().to_string() })
                }
                Some(network) => Ok(Self { kind, pattern: network.to_string() }),
                None => wrong(String::from("must be an address or a network, like 192.0.2.1 or 10.1.0.0/16")),
            },
        }
    }
}

impl Snapshot {
    /// A subscription's exclusions, if it has any.
    pub fn exclusions(&self, subscription: SubscriptionId) -> Option<&Arc<Rules>> {
        self.exclusions.get(&subscription)
    }

    /// Takes these in place of all rules that there were.
    pub(super) fn set_all_exclusions(&mut self, rows: Vec<ExclusionRow>) {
        let mut of_each: std::collections::HashMap<_, Vec<_>> = std::collections::HashMap::new();
        for row in rows {
            of_each.entry(row.subscription).or_default().push(Arc::new(of_row(row)));
        }
        self.exclusions = of_each.into_iter().map(|(of, rules)| (of, Arc::new(Rules::new(rules)))).collect();
    }

    fn set_exclusions(&mut self, subscription: SubscriptionId, rules: Vec<Arc<Exclusion>>) {
        if rules.is_empty() {
            self.exclusions.remove(&subscription);
        } else {
            self.exclusions.insert(subscription, Arc::new(Rules::new(rules)));
        }
    }
}

impl Catalog {
    /// Makes rules, all or none. Those that are there already are left as they are, and not among the answer's.
    ///
    /// # Errors
    /// [`ChangeError::Row`] names the first that cannot be taken, by its place.
    pub async fn make_exclusions(
        self: &Arc<Self>,
        by: Actor,
        subscription: SubscriptionId,
        values: Vec<ExclusionValues>,
    ) -> Result<Vec<Arc<Exclusion>>, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move { catalog.make_exclusions_now(&by, subscription, values).await }).await
    }

    /// Removes a rule. Nothing that it kept back is sent.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn remove_exclusion(
        self: &Arc<Self>,
        by: Actor,
        (subscription, id): (SubscriptionId, ExclusionId),
    ) -> Result<(), ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            let _changing = catalog.changes.lock().await;
            let current = catalog.current();
            let rules = current.exclusions(subscription).ok_or(ChangeError::NotFound)?;
            let rule = rules.get(id).ok_or(ChangeError::NotFound)?;
            let at = catalog.clock.now();
            let deed = Deed { subscription, at, action: "exclusion.deleted", target: &id.to_string() };
            let entry = deed.by(&by, audit::exclusion(rule), Map::new());
            let change =
                move |connection: &Connection| -> Result<(), StoreError> { ExclusionRow::delete(connection, id) };
            catalog.write(Some(entry), change).await?;
            let left = rules.all().iter().filter(|rule| rule.id != id).cloned().collect();
            catalog.replace(|snapshot| snapshot.set_exclusions(subscription, left));
            Ok(())
        })
        .await
    }

    async fn make_exclusions_now(
        &self,
        by: &Actor,
        subscription: SubscriptionId,
        values: Vec<ExclusionValues>,
    ) -> Result<Vec<Arc<Exclusion>>, ChangeError> {
        let mut checked = Vec::with_capacity(values.len());
        for (place, value) in values.into_iter().enumerate() {
            checked.push(value.checked().map_err(|wrong| ChangeError::Row(place, wrong))?);
        }
        let _changing = self.changes.lock().await;
        let current = self.current();
        let mut all = current.exclusions(subscription).map(|rules| rules.all().to_vec()).unwrap_or_default();
        let mut there: HashSet<_> = all.iter().map(|rule| (rule.kind, rule.pattern.clone())).collect();
        let now = self.clock.now();
        let new = checked.into_iter().filter(|value| there.insert((value.kind, value.pattern.clone())));
        let new = new.map(|ExclusionValues { kind, pattern }| {
            let id = ExclusionId(self.random.id());
            Arc::new(Exclusion { id, subscription, kind, pattern, created_at: now })
        });
        let mut new: Vec<_> = new.collect();
        // As the store gives them back.
        new.sort_by_key(|rule| rule.id.0);
        all.extend(new.iter().cloned());
        if all.len() > limits::EXCLUSIONS {
            return Err(ChangeError::TooMany(limits::EXCLUSIONS));
        }
        let entries = new.iter().map(|rule| {
            let deed = Deed { subscription, at: now, action: "exclusion.created", target: &rule.id.to_string() };
            deed.by(by, Map::new(), audit::exclusion(rule))
        });
        let entries: Vec<_> = entries.collect();
        let rows = new.clone();
        let change = move |connection: &Connection| -> Result<(), StoreError> {
            rows.iter().try_for_each(|rule| row(rule).insert(connection))
        };
        self.write(entries, change).await?;
        self.replace(|snapshot| snapshot.set_exclusions(subscription, all));
        Ok(new)
    }
}

fn row(rule: &Exclusion) -> ExclusionRow {
    let Exclusion { id, subscription, kind, pattern, created_at } = rule.clone();
    ExclusionRow { id, subscription, kind, pattern, created_at }
}
