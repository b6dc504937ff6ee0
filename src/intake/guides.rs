//! `POST /data/guides`: which guides a visitor may be shown now (docs/guides.md).

use super::agent;
use super::fields::Field;
use super::first_seen::SeenError;
use super::keys::{Key, KeyMap, lock};
use super::problem::Refusal;
use super::{Intake, request};
use crate::catalog::{App, Guide};
use crate::limits;
use crate::model::{GuideHistory, GuideState, PersonKind, Poll, Position, SubscriptionId, UnixMs, metadata};
use crate::observe::Route;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, Request, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// What the store knows of visitors, for guides.
pub trait GuideStore: Send + Sync + 'static {
    /// What a visitor has done with guides, by the guides' ids, everything that the journal says now included if
    /// `everything`. Blocking.
    ///
    /// # Errors
    /// [`SeenError`].
    fn histories(
        &self,
        subscription: SubscriptionId,
        visitor_id: &str,
        everything: bool,
    ) -> Result<HashMap<String, GuideHistory>, SeenError>;

    /// Somebody's groups of metadata by name, each a JSON object. Blocking.
    ///
    /// # Errors
    /// [`SeenError`].
    fn metadata(
        &self,
        subscription: SubscriptionId,
        kind: PersonKind,
        id: &str,
    ) -> Result<Vec<(String, String)>, SeenError>;
}

/// Visitors who have done something with guides lately that the store may not know yet: who closes a guide and opens the
/// next page is not shown it again.
#[derive(Debug, Default)]
pub struct GuideNews(Mutex<News>);

#[derive(Debug, Default)]
struct News {
    by_visitor: KeyMap<Key, Position>,
    /// There may be news up to here of visitors who are not among them.
    floor: Position,
}

impl GuideNews {
    /// What this visitor has done stands at this position. `projected`: how far the store knows.
    pub fn note(&self, visitor: Key, position: Position, projected: Position) {
        let mut news = lock(&self.0);
        if news.by_visitor.len() >= limits::GUIDE_NEWS {
            news.by_visitor.retain(|_, at| *at > projected);
        }
        if news.by_visitor.len() >= limits::GUIDE_NEWS {
            let last = news.by_visitor.drain().map(|(_, at)| at).max();
            news.floor = news.floor.max(last.unwrap_or_default());
        }
        let last = news.by_visitor.entry(visitor).or_default();
        *last = (*last).max(position);
    }

    /// Whether something of this visitor may stand behind what the store knows.
    pub fn has(&self, visitor: Key, projected: Position) -> bool {
        let news = lock(&self.0);
        news.floor > projected || news.by_visitor.get(&visitor).is_some_and(|at| *at > projected)
    }
}

/// Answers with the guides to be shown.
pub async fn post(State(intake): State<Arc<Intake>>, request: Request<Body>) -> Response {
    let started = Instant::now();
    let mut response =
        agent::answer_to(&intake, request, |intake, app, request| async move { guides(&intake, &app, request).await })
            .await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    intake.metrics.intake.request(Route::Guides, response.status().as_u16(), started.elapsed());
    response
}

/// What a page asks; other keys are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    #[serde(borrow)]
    visitor_id: Option<&'a RawValue>,
    account_id: Option<&'a RawValue>,
    visitor: Option<&'a RawValue>,
    account: Option<&'a RawValue>,
}

/// Who is on the page, with what the page says of them: JSON objects, "" for nothing.
struct Viewer {
    subscription: SubscriptionId,
    visitor_id: String,
    account_id: String,
    visitor: String,
    account: String,
}

async fn guides(intake: &Arc<Intake>, app: &Arc<App>, request: Request<Body>) -> Result<Vec<u8>, Refusal> {
    let (head, body) = agent::read(request).await?;
    let viewer = Viewer::parse(app.subscription.id, request::text(&body)?)?;
    if app.respects_do_not_track && agent::asks_not_to_be_tracked(&head.headers) {
        return Ok(Answer { do_not_track: true, guides: Vec::new() }.json());
    }
    let (current, now) = ((intake.catalog)(), intake.clock.now());
    let privacy = current.privacy(viewer.subscription);
    let is_forbidden = privacy.is_some_and(|privacy| privacy.forbids(&viewer.visitor_id, &viewer.account_id));
    let all = current.guides(viewer.subscription).into_iter().flat_map(|guides| guides.all());
    let published: Vec<_> = all.filter(|guide| guide.state == GuideState::Published).cloned().collect();
    if is_forbidden || published.is_empty() {
        return Ok(Answer { do_not_track: false, guides: Vec::new() }.json());
    }
    let (store, projected) = (Arc::clone(&intake.guide_store), intake.first_seen.projected());
    let everything = intake.guide_news.has(Key::visitor(viewer.subscription, &viewer.visitor_id), projected);
    let choose = move || choose(&*store, &viewer, &published, everything, now);
    let answered = tokio::task::spawn_blocking(choose).await;
    answered.unwrap_or_else(|error| Err(SeenError(error.to_string()))).map_err(Refusal::from)
}

/// The answer, with the guides that the viewer may be shown now, oldest first.
fn choose(
    store: &dyn GuideStore,
    viewer: &Viewer,
    published: &[Arc<Guide>],
    everything: bool,
    now: UnixMs,
) -> Result<Vec<u8>, SeenError> {
    let histories = store.histories(viewer.subscription, &viewer.visitor_id, everything)?;
    let has_rules = published.iter().any(|guide| guide.showing.audience.is_some());
    let people = if has_rules { viewer.people(store)? } else { Value::Null };
    let new = GuideHistory::default();
    let shown = published.iter().filter_map(|guide| {
        let history = histories.get(&guide.properties.id).unwrap_or(&new);
        let steps = guide.steps_to_show(history, &people, now);
        (!steps.is_empty()).then(|| GuideJson::of(guide, &steps))
    });
    Ok(Answer { do_not_track: false, guides: shown.collect() }.json())
}

impl Viewer {
    fn parse(subscription: SubscriptionId, text: &str) -> Result<Self, Refusal> {
        if !text.trim_start().starts_with('{') {
            return Err(Refusal::Unreadable(String::from("it is not a JSON object")));
        }
        let asked: Asked<'_> = serde_json::from_str(text).map_err(|error| Refusal::Unreadable(error.to_string()))?;
        let account_id = Field::new("accountId", asked.account_id).optional().map(Field::id).transpose()?;
        Ok(Self {
            subscription,
            visitor_id: Field::new("visitorId", asked.visitor_id).id()?.into_owned(),
            account_id: account_id.unwrap_or_default().into_owned(),
            visitor: Field::new("visitor", asked.visitor).metadata()?,
            account: Field::new("account", asked.account).metadata()?,
        })
    }

    /// What audiences ask about.
    fn people(&self, store: &dyn GuideStore) -> Result<Value, SeenError> {
        let mut people = Map::new();
        for (kind, id, said) in [
            (PersonKind::Visitor, &self.visitor_id, &self.visitor),
            (PersonKind::Account, &self.account_id, &self.account),
        ] {
            let known = if kind.is_somebody(id) { store.metadata(self.subscription, kind, id)? } else { Vec::new() };
            people.insert(kind.name().to_owned(), person(id, known, said));
        }
        Ok(Value::Object(people))
    }
}

/// Somebody as rules see them. What the page says of them now may not be on record yet.
fn person(id: &str, known: Vec<(String, String)>, said: &str) -> Value {
    let mut groups: HashMap<String, String> = known.into_iter().collect();
    let agent = groups.entry(metadata::AGENT_GROUP.to_owned()).or_default();
    *agent = metadata::merge(agent, said).unwrap_or_default();
    let group = |(name, fields): (String, String)| {
        (name, serde_json::from_str(&fields).unwrap_or_else(|_| Value::Object(Map::new())))
    };
    let mut person: Map<String, Value> = groups.into_iter().map(group).collect();
    person.insert(String::from("id"), Value::from(id));
    Value::Object(person)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    do_not_track: bool,
    guides: Vec<GuideJson<'a>>,
}

/// A guide as agents show it.
#[derive(Serialize)]
struct GuideJson<'a> {
    id: &'a str,
    name: &'a str,
    layout: &'static str,
    pages: &'a [String],
    steps: Vec<StepJson<'a>>,
}

#[derive(Serialize)]
struct StepJson<'a> {
    id: &'a str,
    text: &'a str,
    element: Option<&'a str>,
    polls: &'a [Poll],
}

impl Answer<'_> {
    fn json(&self) -> Vec<u8> {
        // Plain data with string keys: serde_json has no way to fail on it.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl<'a> GuideJson<'a> {
    fn of(guide: &'a Guide, steps: &[usize]) -> Self {
        let step = |place: usize| StepJson {
            id: &guide.properties.steps[place].id,
            text: &guide.contents[place].text,
            element: guide.contents[place].element.as_deref(),
            polls: &guide.polls[place],
        };
        Self {
            id: &guide.properties.id,
            name: &guide.properties.name,
            layout: guide.showing.layout.name(),
            pages: &guide.showing.pages,
            steps: steps.iter().copied().map(step).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_known_until_the_store_knows_them() {
        let (news, key) = (GuideNews::default(), |number: u128| Key(number << 64));
        news.note(key(1), Position(5), Position(0));
        news.note(key(1), Position(3), Position(0));
        assert!(news.has(key(1), Position(4)) && !news.has(key(1), Position(5)) && !news.has(key(2), Position(0)));
        for other in 0..limits::GUIDE_NEWS as u128 {
            news.note(key(other + 10), Position(9), Position(4));
        }
        assert!(news.has(key(1), Position(4)), "nobody is forgotten while they are many");
        assert!(!news.has(key(1), Position(9)));
    }

    #[test]
    fn what_the_page_says_comes_before_what_is_on_record() {
        let known = vec![("agent".into(), r#"{"role":"user","n":1}"#.into()), ("custom".into(), r#"{"a":1}"#.into())];
        let person = person("v", known, r#"{"role":"admin","n":null}"#);
        assert_eq!(person, serde_json::json!({"id": "v", "agent": {"role": "admin"}, "custom": {"a": 1}}));
    }
}
