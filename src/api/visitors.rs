//! `/visitors/{id}` and `/accounts/{id}`: what is known of somebody, with their newest events.

use super::answer::{EventJson, List, rfc3339};
use super::auth::Caller;
use super::list::{self, Asked};
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, paths};
use crate::model::{PersonKind, UnixMs, metadata, parent_account};
use crate::record::view::{PersonDetail, PersonSummary};
use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Groups of metadata by name.
type Groups = BTreeMap<String, metadata::Fields>;

/// A visitor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Visitor)]
pub struct VisitorJson {
    /// Their id, as the product names them.
    pub id: String,
    /// Known since: through the agent, the Track API or the Metadata API.
    pub known_at: String,
    /// First identified in-app; null: not yet.
    pub first_visit: Option<String>,
    /// Last in the app, to the minute; null: never.
    pub last_visit: Option<String>,
    /// The browser of the last visit.
    pub browser: Option<BrowserJson>,
    /// The account of the last visit; null for none.
    pub account_id: Option<String>,
    /// Groups of metadata: `agent` is what the agent tells, the others are what the Metadata API has set.
    #[schema(value_type = HashMap<String, HashMap<String, serde_json::Value>>)]
    pub metadata: Groups,
    /// The ids under which they were here before they had a name, as far as the journal still tells of them.
    pub anonymous_ids: Vec<String>,
    /// Whether everything of them is thrown away as it comes in.
    pub do_not_process: bool,
    /// The 20 newest events, newest first.
    pub events: Vec<EventJson>,
}

/// A browser.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Browser)]
pub struct BrowserJson {
    /// E.g. "Chrome"; "" when the User-Agent names none that is known.
    pub name: String,
    /// Three parts, e.g. "91.0.4472".
    pub version: String,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub struct AccountJson {
    /// Its id, as the product names it.
    pub id: String,
    /// The parent's id, when this one is `parent::child`.
    pub parent_id: Option<String>,
    /// The first 100 sub-accounts, in the order of their ids.
    pub sub_accounts: Vec<String>,
    /// Known since: through the agent, the Track API or the Metadata API.
    pub known_at: String,
    /// First seen in-app; null: not yet.
    pub first_visit: Option<String>,
    /// When a visitor was last in the app for it, to the minute; null: never.
    pub last_visit: Option<String>,
    /// Groups of metadata: `agent` is what the agent tells, the others are what the Metadata API has set.
    #[schema(value_type = HashMap<String, HashMap<String, serde_json::Value>>)]
    pub metadata: Groups,
    /// Whether everything of it is thrown away as it comes in.
    pub do_not_process: bool,
    /// The 20 newest events, newest first.
    pub events: Vec<EventJson>,
}

/// Which visitors or accounts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PeopleListQuery {
    /// Those whose ids begin so; upper and lower case differ.
    prefix: Option<String>,
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A visitor or an account in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Person)]
pub struct PersonJson {
    /// The id, as the product names them.
    pub id: String,
    /// Known since: through the agent, the Track API or the Metadata API.
    pub known_at: String,
    /// First seen in-app; null: not yet.
    pub first_visit: Option<String>,
    /// Last in the app, to the minute; null: never.
    pub last_visit: Option<String>,
    /// A visitor's last account; null for none.
    pub account_id: Option<String>,
}

/// Lists visitors, in the order of their ids.
#[utoipa::path(
    get,
    path = paths::VISITORS,
    params(PeopleListQuery),
    tag = "visitors",
    responses((status = 200, body = List<PersonJson>), ApiError)
)]
pub async fn list_visitors(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<PeopleListQuery>,
) -> Result<Json<List<PersonJson>>, ApiError> {
    list_of(&api, &caller, PersonKind::Visitor, asked).await
}

/// Lists accounts, in the order of their ids.
#[utoipa::path(
    get,
    path = paths::ACCOUNTS,
    params(PeopleListQuery),
    tag = "accounts",
    responses((status = 200, body = List<PersonJson>), ApiError)
)]
pub async fn list_accounts(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<PeopleListQuery>,
) -> Result<Json<List<PersonJson>>, ApiError> {
    list_of(&api, &caller, PersonKind::Account, asked).await
}

async fn list_of(
    api: &Api,
    caller: &Caller,
    kind: PersonKind,
    asked: PeopleListQuery,
) -> Result<Json<List<PersonJson>>, ApiError> {
    let limit = list::limit(asked.limit)?;
    let after = asked.cursor.as_deref().map(id_of).transpose()?;
    let (of, prefix) = ((caller.subscription.id, kind), asked.prefix.unwrap_or_default());
    let people = api.records(move |records| records.people(of, &prefix, after.as_deref(), limit)).await?;
    let next = people.last().filter(|_| people.len() == limit).map(|last| BASE64_URL_SAFE_NO_PAD.encode(&last.id));
    Ok(Json(List { data: people.into_iter().map(PersonJson::of).collect(), next }))
}

/// The id that a cursor stands for.
fn id_of(cursor: &str) -> Result<String, ApiError> {
    let id = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|id| String::from_utf8(id).ok());
    id.ok_or_else(|| ApiError::Query(String::from("cursor: it does not belong to this list")))
}

impl PersonJson {
    fn of(person: PersonSummary) -> Self {
        Self {
            id: person.id,
            known_at: rfc3339(person.known_at),
            first_visit: time(person.first_visit),
            last_visit: time(person.last_visit),
            account_id: person.account_id.filter(|id| !id.is_empty()),
        }
    }
}

/// Reads a visitor.
#[utoipa::path(
    get,
    path = paths::VISITOR,
    params(("id" = String, Path)),
    tag = "visitors",
    responses((status = 200, body = VisitorJson), ApiError)
)]
pub async fn read_visitor(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Id(id): Id,
) -> Result<Json<VisitorJson>, ApiError> {
    let person = find(&api, &caller, PersonKind::Visitor, &id).await?;
    Ok(Json(VisitorJson {
        anonymous_ids: person.anonymous_ids,
        do_not_process: is_not_processed(&api, &caller, PersonKind::Visitor, &id),
        id,
        known_at: rfc3339(person.known_at),
        first_visit: time(person.first_visit),
        last_visit: time(person.last_visit),
        browser: person.browser.map(|(name, version)| BrowserJson { name, version }),
        account_id: person.account_id.filter(|id| !id.is_empty()),
        metadata: groups(&person.metadata)?,
        events: person.events.iter().map(EventJson::of).collect(),
    }))
}

/// Reads an account.
#[utoipa::path(
    get,
    path = paths::ACCOUNT,
    params(("id" = String, Path)),
    tag = "accounts",
    responses((status = 200, body = AccountJson), ApiError)
)]
pub async fn read_account(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Id(id): Id,
) -> Result<Json<AccountJson>, ApiError> {
    let person = find(&api, &caller, PersonKind::Account, &id).await?;
    Ok(Json(AccountJson {
        do_not_process: is_not_processed(&api, &caller, PersonKind::Account, &id),
        parent_id: parent_account(&id).map(str::to_owned),
        id,
        sub_accounts: person.sub_accounts,
        known_at: rfc3339(person.known_at),
        first_visit: time(person.first_visit),
        last_visit: time(person.last_visit),
        metadata: groups(&person.metadata)?,
        events: person.events.iter().map(EventJson::of).collect(),
    }))
}

async fn find(api: &Api, caller: &Caller, kind: PersonKind, id: &str) -> Result<PersonDetail, ApiError> {
    let (subscription, asked) = (caller.subscription.id, id.to_owned());
    let found = api.records(move |records| records.person(subscription, kind, &asked)).await?;
    found.ok_or(ApiError::NotFound(kind.name()))
}

fn is_not_processed(api: &Api, caller: &Caller, kind: PersonKind, id: &str) -> bool {
    let current = api.parts.catalog.current();
    current.privacy(caller.subscription.id).is_some_and(|privacy| privacy.rule_for(kind, id).is_some())
}

fn time(at: Option<UnixMs>) -> Option<String> {
    at.map(rfc3339)
}

fn groups(groups: &[(String, String)]) -> Result<Groups, ApiError> {
    let read = |(name, json): &(String, String)| Ok((name.clone(), serde_json::from_str(json)?));
    let groups: Result<_, serde_json::Error> = groups.iter().map(read).collect();
    groups.map_err(|error| ApiError::internal(&error))
}
