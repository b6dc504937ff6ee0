//! `/metadata`: values of visitors and accounts, many at once or one (docs/metadata.md). It raises no event.
//!
//! A batch is taken a few rows at a time: looked up, judged, journalled. Each row is one entry of the journal, so that
//! whatever happens in between, a row is there whole or not at all.

use super::auth::{Admin, Caller};
use super::body;
use super::list::Asked;
use super::problem::ApiError;
use super::{Api, paths};
use crate::intake::canonical;
use crate::journal::Group;
use crate::limits;
use crate::model::{Entry, MetadataEntry, PersonKind, UnixMs, metadata};
use crate::record::view::KnownGroup;
use axum::Json;
use axum::extract::{Path, Request, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// The group that is the installation's own: visits and browsers are read with the visitor.
const OWN_GROUP: &str = "auto";

/// Rows that are looked up and journalled together.
const ROWS_AT_ONCE: usize = 256;

/// Bytes of values that are journalled together.
const BYTES_AT_ONCE: usize = 512 * 1024;

/// What to do with ids that nobody knows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BatchQuery {
    /// true: make the visitors and accounts that are not known yet. They are not yet seen.
    create: Option<bool>,
}

/// One row of a batch.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; rows are read one by one")]
#[schema(as = MetadataRow)]
pub struct RowInput {
    /// The visitor's id, for visitors.
    #[serde(rename = "visitorId")]
    visitor_id: Option<String>,
    /// The account's id, for accounts.
    #[serde(rename = "accountId")]
    account_id: Option<String>,
    /// Values by name: text, a number, true or false, a list of these, or null, which takes a value away.
    #[schema(value_type = Object)]
    values: Value,
}

/// What became of a batch.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = MetadataResult)]
pub struct ResultJson {
    /// Rows in the batch.
    total: usize,
    /// Rows that were set.
    updated: usize,
    /// Rows that were not: those of `missing` and of `errors`.
    failed: usize,
    /// Ids that nobody knows.
    missing: Vec<String>,
    /// Rows that cannot be set, and why.
    errors: Vec<RowError>,
    /// visitor or account.
    kind: &'static str,
}

/// Why a row was not set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetadataError)]
pub struct RowError {
    /// The row's id as it was sent; null when it has none.
    #[schema(value_type = Option<String>)]
    id: Value,
    /// What is wrong with it.
    reason: String,
}

/// A row that can be set.
struct Row {
    id: String,
    /// A JSON object.
    values: String,
}

/// A row as it is sent.
#[derive(Deserialize)]
struct RawRow<'a> {
    #[serde(borrow, rename = "visitorId")]
    visitor_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "accountId")]
    account_id: Option<&'a RawValue>,
    #[serde(borrow)]
    values: Option<&'a RawValue>,
}

/// Where values go.
#[derive(Clone)]
struct Target {
    caller: Caller,
    kind: PersonKind,
    group: String,
}

/// Sets values of many visitors or accounts. Fields that are not named stay as they are.
#[utoipa::path(
    post,
    path = paths::METADATA,
    params(("kind" = String, Path, description = "visitor or account"), ("group" = String, Path), BatchQuery),
    request_body = Vec<RowInput>,
    tag = "metadata",
    responses((status = 200, body = ResultJson), ApiError)
)]
pub async fn set_many(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    path: Path<(String, String)>,
    Asked(asked): Asked<BatchQuery>,
    request: Request,
) -> Result<Json<ResultJson>, ApiError> {
    let Path((kind, group)) = path;
    let target = Target::new(caller, &kind, group)?;
    let deadline = tokio::time::Instant::now() + api.parts.settings.metadata_timeout;
    let mut result = ResultJson { kind: target.kind.name(), ..ResultJson::default() };
    let taken = tokio::time::timeout_at(deadline, async {
        // A body may be large: only some are in memory at a time.
        let _turn = api.metadata.acquire().await.map_err(|error| ApiError::internal(&error))?;
        let body = read(&api, request, limits::METADATA_BODY_BYTES).await?;
        take(&api, &target, &body, asked.create.unwrap_or(false), &mut result).await
    });
    taken.await.unwrap_or(Err(ApiError::TooSlow(result.updated)))?;
    result.failed = result.missing.len() + result.errors.len();
    Ok(Json(result))
}

/// Sets one value of a visitor or an account that is known. The body is the value: text, a number, true or false, a
/// list of these, or null, which takes it away.
#[utoipa::path(
    put,
    path = paths::METADATA_VALUE,
    params(
        ("kind" = String, Path, description = "visitor or account"),
        ("group" = String, Path),
        ("id" = String, Path),
        ("field" = String, Path)
    ),
    request_body = Value,
    tag = "metadata",
    responses((status = 200, body = ResultJson), ApiError)
)]
pub async fn set_one(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    path: Path<(String, String, String, String)>,
    request: Request,
) -> Result<Json<ResultJson>, ApiError> {
    let Path((kind, group, id, field)) = path;
    let target = Target::new(caller, &kind, group)?;
    api.records(|records| records.catch_up()).await?;
    // Somebody who is not there is told first, whatever the body says.
    if target.look_up(&api, vec![id.clone()]).await?.iter().all(Option::is_none) {
        return Err(ApiError::NotFound(target.kind.name()));
    }
    let body = read(&api, request, limits::METADATA_BYTES).await?;
    let value: &RawValue = serde_json::from_slice(&body).map_err(|error| ApiError::Unreadable(body::syntax(&error)))?;
    let values = values(BTreeMap::from([(field, value)])).map_err(|reason| ApiError::field("value", reason))?;
    let mut result = ResultJson { total: 1, kind: target.kind.name(), ..ResultJson::default() };
    set(&api, &target, vec![Row { id, values }], false, &mut result).await?;
    match result.errors.pop() {
        Some(error) => Err(ApiError::field("value", error.reason)),
        None => Ok(Json(result)),
    }
}

async fn read(api: &Api, request: Request, limit: usize) -> Result<bytes::Bytes, ApiError> {
    let json = body::states_json(request.headers());
    let body = body::read(request, limit.max(api.parts.settings.body_bytes)).await?;
    if json { Ok(body) } else { Err(ApiError::ContentType) }
}

impl Target {
    fn new(caller: Caller, kind: &str, group: String) -> Result<Self, ApiError> {
        let kind = PersonKind::from_name(kind).ok_or(ApiError::NoRoute)?;
        let wrong = |reason: &str| Err(ApiError::Query(format!("group: {reason}")));
        let letters = group.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if group == OWN_GROUP {
            return wrong("auto is kept by the installation itself; read it with GET /api/v1/visitors/{id}");
        }
        if group.is_empty() || group.len() > limits::METADATA_GROUP_BYTES || !letters {
            return wrong("must be of letters, digits and _, at most 64 of them");
        }
        Ok(Self { caller, kind, group })
    }

    /// What these ids have in the group; `None` for somebody unknown.
    async fn look_up(&self, api: &Api, ids: Vec<String>) -> Result<Vec<Option<KnownGroup>>, ApiError> {
        let (subscription, kind, group) = (self.caller.subscription.id, self.kind, self.group.clone());
        api.records(move |records| records.metadata(subscription, kind, &group, &ids)).await
    }
}

/// Takes a whole batch.
async fn take(api: &Api, target: &Target, body: &[u8], create: bool, result: &mut ResultJson) -> Result<(), ApiError> {
    let raw_rows: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|error| ApiError::Unreadable(body::syntax(&error)))?;
    if raw_rows.len() > limits::METADATA_ROWS {
        return Err(ApiError::Unreadable(format!("it has more than {} rows: send it in parts", limits::METADATA_ROWS)));
    }
    result.total = raw_rows.len();
    api.records(|records| records.catch_up()).await?;
    let (mut rows, mut bytes, mut seen) = (Vec::new(), 0, HashSet::new());
    for raw in raw_rows {
        match row(raw, target.kind) {
            Ok(row) => {
                if !seen.insert(row.id.clone()) {
                    // What this batch itself has set of them counts.
                    set(api, target, std::mem::take(&mut rows), create, result).await?;
                    api.records(|records| records.catch_up()).await?;
                    seen = HashSet::from([row.id.clone()]);
                }
                bytes += row.values.len();
                rows.push(row);
            }
            Err(error) => result.errors.push(error),
        }
        if rows.len() >= ROWS_AT_ONCE || bytes >= BYTES_AT_ONCE {
            bytes = 0;
            set(api, target, std::mem::take(&mut rows), create, result).await?;
        }
    }
    set(api, target, rows, create, result).await
}

/// Looks rows up, and journals those that can be set.
async fn set(
    api: &Api,
    target: &Target,
    rows: Vec<Row>,
    create: bool,
    result: &mut ResultJson,
) -> Result<(), ApiError> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
    let known = target.look_up(api, ids).await?;
    let at = api.parts.clock.now();
    let current = api.parts.catalog.current();
    let privacy = current.privacy(target.caller.subscription.id);
    let (mut group, mut set) = (Group::new(), 0);
    for (row, known) in rows.into_iter().zip(known) {
        if known.is_none() && !create {
            result.missing.push(row.id);
            continue;
        }
        if privacy.is_some_and(|privacy| privacy.rule_for(target.kind, &row.id).is_some()) {
            result.errors.push(RowError { id: row.id.into(), reason: String::from("must not be processed") });
            continue;
        }
        let known = known.unwrap_or_default();
        match fits(&known.fields, known.groups, &row.values) {
            Ok(()) => {
                group.push(&entry(target, &row, at));
                set += 1;
            }
            Err(reason) => result.errors.push(RowError { id: row.id.into(), reason }),
        }
    }
    if !group.is_empty() {
        api.parts.journal.append(group).await.map_err(ApiError::Journal)?;
    }
    result.updated += set;
    Ok(())
}

fn entry<'a>(target: &'a Target, row: &'a Row, at: UnixMs) -> Entry<'a> {
    let (subscription, kind) = (target.caller.subscription.id, target.kind);
    Entry::Metadata(MetadataEntry { subscription, kind, id: &row.id, group: &target.group, values: &row.values, at })
}

/// Whether a group may take these values besides what it holds, one of so many groups of the same person.
fn fits(fields: &str, groups: usize, values: &str) -> Result<(), String> {
    if fields.is_empty() && groups >= limits::METADATA_GROUPS {
        return Err(format!("has values in {groups} groups, and may not have more"));
    }
    let merged = metadata::merge(fields, values).unwrap_or_default();
    if merged.len() > limits::METADATA_BYTES {
        return Err(format!("the group would hold more than {} bytes", limits::METADATA_BYTES));
    }
    Ok(())
}

/// Reads one row of a batch.
fn row(raw: &RawValue, kind: PersonKind) -> Result<Row, RowError> {
    let wrong = |id: Value, reason: &str| RowError { id, reason: reason.to_owned() };
    let Ok(fields) = serde_json::from_str::<RawRow<'_>>(raw.get()) else {
        return Err(wrong(Value::Null, "the row is not an object"));
    };
    let (name, id) = match kind {
        PersonKind::Visitor => ("visitorId", fields.visitor_id),
        PersonKind::Account => ("accountId", fields.account_id),
    };
    // What is repeated in the answer is bounded, whatever was sent.
    let shown = |raw: &RawValue| match raw.get().len() <= limits::ID_BYTES {
        true => serde_json::from_str(raw.get()).unwrap_or_default(),
        false => Value::Null,
    };
    let Some(id) = id else { return Err(wrong(Value::Null, &format!("{name} is missing"))) };
    let Ok(text) = serde_json::from_str::<String>(id.get()) else {
        return Err(wrong(shown(id), &format!("{name} must be a string")));
    };
    if text.len() > limits::ID_BYTES {
        return Err(wrong(Value::Null, &format!("{name} is longer than {} bytes", limits::ID_BYTES)));
    }
    if !kind.is_somebody(&text) {
        return Err(wrong(text.into(), &format!("{name} names nobody")));
    }
    let given = fields.values.map_or("", RawValue::get);
    let Ok(given) = serde_json::from_str::<BTreeMap<String, &RawValue>>(given) else {
        return Err(wrong(text.into(), "values must be an object"));
    };
    match values(given) {
        Ok(values) => Ok(Row { id: text, values }),
        Err(reason) => Err(RowError { id: text.into(), reason }),
    }
}

/// Values as one JSON object in canonical form, or why they cannot be kept.
fn values(given: BTreeMap<String, &RawValue>) -> Result<String, String> {
    let mut out = vec![b'{'];
    for (name, value) in given {
        if name.is_empty() || name.len() > limits::METADATA_NAME_BYTES {
            return Err(format!("a field's name has 1 to {} bytes", limits::METADATA_NAME_BYTES));
        }
        if !is_value(value) {
            return Err(format!("{name} must be text, a number, true or false, a list of these, or null"));
        }
        if out.len() > 1 {
            out.push(b',');
        }
        canonical::append_string(&mut out, &name);
        out.push(b':');
        canonical::append(&mut out, value.get()).map_err(|error| format!("{name} cannot be kept: {error}"))?;
    }
    out.push(b'}');
    if out.len() > limits::METADATA_BYTES {
        return Err(format!("the values have more than {} bytes", limits::METADATA_BYTES));
    }
    // It was text before, and canonical form leaves it text.
    String::from_utf8(out).map_err(|error| error.to_string())
}

fn is_value(raw: &RawValue) -> bool {
    let is_simple = |raw: &RawValue| !raw.get().starts_with(['{', '[']);
    let all_simple = |list: Vec<&RawValue>| list.into_iter().all(|one| is_simple(one) && one.get() != "null");
    is_simple(raw) || serde_json::from_str(raw.get()).is_ok_and(all_simple)
}
