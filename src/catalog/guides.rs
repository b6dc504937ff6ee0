//! Guides: made, changed, published, reset and archived. Intake takes `guideProperties` from here.

use super::audit::{self, Actor, Deed};
use super::change::to_its_end;
use super::showing::{Showing, ShowingValues, StepContent};
use super::{Catalog, CatalogError, ChangeError, InvalidValue, Snapshot};
use crate::clock::Random;
use crate::limits;
use crate::model::{GuideProperties, GuideState, GuideStep, Poll, PollType, SubscriptionId, UnixMs, UserId, UserRef};
use crate::store::StoreError;
use crate::store::configured::GuideRow;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The step types that receivers know.
const STEP_TYPES: [&str; 2] = ["building-block", ""];

/// A guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guide {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Whether it is shown.
    pub state: GuideState,
    /// What its events carry, its id among it.
    pub properties: GuideProperties,
    /// The polls of each step, in the order of `properties.steps`.
    pub polls: Vec<Vec<Poll>>,
    /// What else each step shows, in the same order.
    pub contents: Vec<StepContent>,
    /// How, where, when and to whom it is shown.
    pub showing: Showing,
}

/// What a person sets of a guide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuideValues {
    /// The id, when it has one already elsewhere; only of a new guide.
    pub id: Option<String>,
    /// For people, and for receivers.
    pub name: Option<String>,
    /// All its steps. A step with the id of one that is there keeps when it was reset.
    pub steps: Option<Vec<StepValues>>,
    /// How, where, when and to whom it is shown.
    pub showing: ShowingValues,
}

/// What a person sets of a step. Ids that are left empty are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepValues {
    /// Unique in the guide.
    pub id: String,
    /// "building-block" or "".
    pub kind: String,
    /// Its polls.
    pub polls: Vec<Poll>,
    /// What else it shows.
    pub content: StepContent,
}

/// What is done to a guide besides changing its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuideDeed {
    /// It is shown from now on.
    Publish,
    /// It is no longer shown.
    Archive,
    /// Visitors who have seen these steps may see them again; all steps when none is named.
    Reset(Vec<String>),
}

/// Everything of a guide but its state, as it is kept.
#[derive(Serialize, Deserialize)]
struct Content {
    properties: GuideProperties,
    polls: Vec<Vec<Poll>>,
    /// Guides of older versions have none.
    #[serde(default)]
    contents: Vec<StepContent>,
    #[serde(default)]
    showing: Showing,
}

/// A subscription's guides.
#[derive(Debug, Clone, Default)]
pub struct Guides {
    by_id: HashMap<String, Arc<Guide>>,
    /// Ids, oldest guide first.
    order: Vec<String>,
}

impl Guides {
    /// The guide with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Guide>> {
        self.by_id.get(id)
    }

    /// All guides, oldest first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Arc<Guide>> {
        self.order.iter().filter_map(|id| self.by_id.get(id))
    }

    fn insert(&mut self, guide: Arc<Guide>) {
        let (id, created_at) = (guide.properties.id.clone(), guide.properties.created_at);
        // As the store gives them back.
        let age = |id: &String| self.by_id.get(id).map(|guide| (guide.properties.created_at, id.clone()));
        let place = self.order.partition_point(|other| age(other) < Some((created_at, id.clone())));
        if self.by_id.insert(id.clone(), guide).is_none() {
            self.order.insert(place, id);
        }
    }
}

impl Guide {
    /// The polls of the step with this id; `None` when it has no such step.
    pub fn polls_of(&self, step_id: &str) -> Option<&[Poll]> {
        let place = self.properties.steps.iter().position(|step| step.id == step_id)?;
        self.polls.get(place).map(Vec::as_slice)
    }

    fn of_row(row: GuideRow) -> Result<Self, CatalogError> {
        let content: Content =
            serde_json::from_str(&row.content).map_err(|_| CatalogError::Unreadable("guides.content"))?;
        let Content { properties, polls, mut contents, showing } = content;
        contents.resize(properties.steps.len(), StepContent::default());
        Ok(Self { subscription: row.subscription, state: row.state, properties, polls, contents, showing })
    }

    fn row(&self) -> GuideRow {
        let content = Content {
            properties: self.properties.clone(),
            polls: self.polls.clone(),
            contents: self.contents.clone(),
            showing: self.showing.clone(),
        };
        GuideRow {
            subscription: self.subscription,
            id: self.properties.id.clone(),
            state: self.state,
            // Plain data with string keys: serde_json has no way to fail on it.
            content: serde_json::to_string(&content).unwrap_or_default(),
            created_at: UnixMs(self.properties.created_at),
        }
    }

    /// Takes other values, at a time and by somebody.
    fn set(&mut self, values: GuideValues, now: UnixMs, random: &dyn Random) -> Result<(), InvalidValue> {
        if let Some(name) = values.name {
            super::name::check_name(&name)?;
            self.properties.name = name;
        }
        if let Some(steps) = values.steps {
            self.set_steps(steps, now, random)?;
        }
        self.showing.set(values.showing)?;
        if self.row().content.len() > limits::GUIDE_BYTES {
            return Err(wrong(format!("the guide would have more than {} bytes", limits::GUIDE_BYTES)));
        }
        Ok(())
    }

    fn set_steps(&mut self, steps: Vec<StepValues>, now: UnixMs, random: &dyn Random) -> Result<(), InvalidValue> {
        if steps.is_empty() || steps.len() > limits::GUIDE_STEPS {
            return Err(wrong(format!("a guide has 1 to {} steps", limits::GUIDE_STEPS)));
        }
        let (mut step_ids, mut poll_ids) = (HashSet::new(), HashSet::new());
        let (mut new_steps, mut new_polls, mut new_contents) = (Vec::new(), Vec::new(), Vec::new());
        for (place, values) in steps.into_iter().enumerate() {
            let at = |problem: String| wrong(format!("step {}: {problem}", place + 1));
            if !STEP_TYPES.contains(&values.kind.as_str()) {
                return Err(at(String::from("type must be \"building-block\" or \"\"")));
            }
            let id = made_or(values.id, random).map_err(at)?;
            if !step_ids.insert(id.clone()) {
                return Err(at(format!("the id {id:?} is another step's")));
            }
            let polls = checked_polls(values.polls, &mut poll_ids, random).map_err(at)?;
            values.content.check().map_err(at)?;
            new_steps.push(self.step((id, values.kind), (&polls, &values.content), now));
            new_polls.push(polls);
            new_contents.push(values.content);
        }
        (self.properties.steps, self.polls, self.contents) = (new_steps, new_polls, new_contents);
        Ok(())
    }

    /// A step as it will be: one that does not change keeps its time, and every one when it was reset.
    fn step(&self, (id, kind): (String, String), shown: (&[Poll], &StepContent), now: UnixMs) -> GuideStep {
        let place = self.properties.steps.iter().position(|step| step.id == id);
        let old = place.map(|place| &self.properties.steps[place]);
        let is_shown = |place: usize| (self.polls[place].as_slice(), &self.contents[place]) == shown;
        let same = old.filter(|step| step.kind == kind && place.is_some_and(is_shown));
        let last_updated_at = same.map_or(now.0, |step| step.last_updated_at);
        GuideStep { last_updated_at, reset_at: old.map_or(0, |step| step.reset_at), id, kind }
    }

    fn reset(&mut self, steps: &[String], now: UnixMs) -> Result<(), InvalidValue> {
        let is_there = |id: &String| self.properties.steps.iter().any(|step| step.id == *id);
        if let Some(id) = steps.iter().find(|id| !is_there(id)) {
            return Err(wrong(format!("the guide has no step with the id {id:?}")));
        }
        for step in &mut self.properties.steps {
            if steps.is_empty() || steps.contains(&step.id) {
                step.reset_at = now.0;
            }
        }
        Ok(())
    }
}

fn wrong(problem: String) -> InvalidValue {
    InvalidValue::new("steps", problem)
}

fn checked_polls(polls: Vec<Poll>, ids: &mut HashSet<String>, random: &dyn Random) -> Result<Vec<Poll>, String> {
    if polls.len() > limits::STEP_POLLS {
        return Err(format!("a step has at most {} polls", limits::STEP_POLLS));
    }
    let mut checked: Vec<Poll> = Vec::new();
    for (place, poll) in polls.into_iter().enumerate() {
        let at = |problem: String| format!("poll {}: {problem}", place + 1);
        let poll = checked_poll(poll, random).map_err(at)?;
        if !ids.insert(poll.id.clone()) {
            return Err(at(format!("the id {:?} is another poll's", poll.id)));
        }
        if poll.kind.is_nps() && checked.iter().any(|other| other.kind == poll.kind) {
            return Err(at(format!("a step has one {} at most", poll.kind.name())));
        }
        checked.push(poll);
    }
    let has = |kind| checked.iter().any(|poll| poll.kind == kind);
    if has(PollType::NpsReason) && !has(PollType::NpsRating) {
        return Err(String::from("an NPSReason needs an NPSRating on the same step"));
    }
    Ok(checked)
}

fn checked_poll(poll: Poll, random: &dyn Random) -> Result<Poll, String> {
    let Poll { id, kind, question, mut choices } = poll;
    check_text("question", &question)?;
    if (kind == PollType::PickList) == choices.is_empty() {
        return Err(String::from("a PickList has choices, and no other type has"));
    }
    if choices.len() > limits::POLL_CHOICES {
        return Err(format!("a poll has at most {} choices", limits::POLL_CHOICES));
    }
    let mut ids = HashSet::new();
    for choice in &mut choices {
        check_text("a choice's text", &choice.text)?;
        choice.id = made_or(std::mem::take(&mut choice.id), random)?;
        if !ids.insert(choice.id.clone()) {
            return Err(format!("two choices have the id {:?}", choice.id));
        }
    }
    Ok(Poll { id: made_or(id, random)?, kind, question, choices })
}

fn check_text(what: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.len() > limits::POLL_TEXT_BYTES {
        return Err(format!("{what} must have 1 to {} bytes", limits::POLL_TEXT_BYTES));
    }
    Ok(())
}

/// An id that was given, checked, or a new one: 160 random bits.
fn made_or(id: String, random: &dyn Random) -> Result<String, String> {
    if id.len() > limits::ID_BYTES || id.chars().any(char::is_control) {
        return Err(format!("an id has at most {} bytes, and no control characters", limits::ID_BYTES));
    }
    if !id.is_empty() {
        return Ok(id);
    }
    let mut bytes = [0; 20];
    random.fill(&mut bytes);
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

impl Snapshot {
    /// A subscription's guides, if it has any.
    pub fn guides(&self, subscription: SubscriptionId) -> Option<&Arc<Guides>> {
        self.guides.get(&subscription)
    }

    pub(super) fn insert_guide_row(&mut self, row: GuideRow) -> Result<(), CatalogError> {
        self.insert_guide(Arc::new(Guide::of_row(row)?));
        Ok(())
    }

    pub(crate) fn insert_guide(&mut self, guide: Arc<Guide>) {
        Arc::make_mut(self.guides.entry(guide.subscription).or_default()).insert(guide);
    }
}

impl Catalog {
    /// Makes a guide, as a draft.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn make_guide(
        self: &Arc<Self>,
        (by, owner): (Actor, Option<UserId>),
        subscription: SubscriptionId,
        values: GuideValues,
    ) -> Result<Arc<Guide>, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            let _changing = catalog.changes.lock().await;
            let current = catalog.current();
            let guides = current.guides(subscription);
            let count = guides.map_or(0, |guides| guides.order.len());
            if count >= limits::GUIDES {
                return Err(ChangeError::TooMany(count));
            }
            let wrong = |problem| InvalidValue::new("id", problem);
            let id = made_or(values.id.clone().unwrap_or_default(), &*catalog.random).map_err(wrong)?;
            if guides.is_some_and(|guides| guides.get(&id).is_some()) {
                return Err(wrong(String::from("another guide has this id")).into());
            }
            let (now, user) = (catalog.clock.now(), catalog.user_of(&by, owner));
            let mut guide = Guide {
                subscription,
                state: GuideState::Draft,
                properties: GuideProperties {
                    created_at: now.0,
                    created_by_user: user.clone(),
                    id,
                    last_updated_at: now.0,
                    last_updated_by_user: user,
                    name: String::new(),
                    steps: Vec::new(),
                },
                polls: Vec::new(),
                contents: Vec::new(),
                showing: Showing::default(),
            };
            guide.set(values, now, &*catalog.random)?;
            let deed = Deed { subscription, at: now, action: "guide.created", target: &guide.properties.id };
            let entry = deed.by(&by, Map::new(), audit::guide(&guide));
            catalog.write_guide(guide, Some(entry)).await
        })
        .await
    }

    /// Changes a guide's values; what is `None` stays.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn patch_guide(
        self: &Arc<Self>,
        who: (Actor, Option<UserId>),
        of: (SubscriptionId, String),
        values: GuideValues,
    ) -> Result<Arc<Guide>, ChangeError> {
        let random = Arc::clone(&self.random);
        self.change_guide(who, of, "guide.changed", move |guide, now| guide.set(values, now, &*random)).await
    }

    /// Publishes, archives or resets a guide.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn do_to_guide(
        self: &Arc<Self>,
        who: (Actor, Option<UserId>),
        of: (SubscriptionId, String),
        deed: GuideDeed,
    ) -> Result<Arc<Guide>, ChangeError> {
        let action = match deed {
            GuideDeed::Publish => "guide.published",
            GuideDeed::Archive => "guide.archived",
            GuideDeed::Reset(_) => "guide.reset",
        };
        let change = move |guide: &mut Guide, now| {
            match &deed {
                GuideDeed::Publish => guide.state = GuideState::Published,
                GuideDeed::Archive => guide.state = GuideState::Archived,
                GuideDeed::Reset(steps) => guide.reset(steps, now)?,
            }
            Ok(())
        };
        self.change_guide(who, of, action, change).await
    }

    async fn change_guide(
        self: &Arc<Self>,
        (by, owner): (Actor, Option<UserId>),
        (subscription, id): (SubscriptionId, String),
        action: &'static str,
        change: impl FnOnce(&mut Guide, UnixMs) -> Result<(), InvalidValue> + Send + 'static,
    ) -> Result<Arc<Guide>, ChangeError> {
        let catalog = Arc::clone(self);
        to_its_end(async move {
            let _changing = catalog.changes.lock().await;
            let current = catalog.current();
            let old = current.guides(subscription).and_then(|guides| guides.get(&id)).ok_or(ChangeError::NotFound)?;
            let (mut guide, now) = (Guide::clone(old), catalog.clock.now());
            change(&mut guide, now)?;
            if guide == **old {
                return Ok(Arc::clone(old));
            }
            guide.properties.last_updated_at = now.0;
            guide.properties.last_updated_by_user = catalog.user_of(&by, owner);
            let (mut before, mut after) = (audit::guide(old), audit::guide(&guide));
            audit::drop_same(&mut before, &mut after);
            let entry = Deed { subscription, at: now, action, target: &id }.by(&by, before, after);
            catalog.write_guide(guide, Some(entry)).await
        })
        .await
    }

    async fn write_guide(
        &self,
        guide: Guide,
        entry: Option<crate::store::configured::AuditEntry>,
    ) -> Result<Arc<Guide>, ChangeError> {
        let (guide, row) = (Arc::new(guide.clone()), guide.row());
        self.write(entry, move |connection| -> Result<(), StoreError> { row.write(connection) }).await?;
        self.replace(|snapshot| snapshot.insert_guide(Arc::clone(&guide)));
        Ok(guide)
    }

    /// Who changes a guide, as receivers are told: the user, or the user who made the key.
    fn user_of(&self, by: &Actor, owner: Option<UserId>) -> UserRef {
        let current = self.current();
        let user = owner.and_then(|id| current.users.get(&id));
        UserRef { username: user.map_or_else(|| by.name().to_owned(), |user| user.email.clone()) }
    }
}
