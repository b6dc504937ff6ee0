//! `/audit-log`: who changed what.

use super::answer::{List, rfc3339};
use super::auth::Caller;
use super::list::{self, Asked};
use super::problem::ApiError;
use super::{Api, export, paths};
use crate::catalog::{AuditQuery, AuditRow};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which entries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditListQuery {
    /// Like webhook.created, webhook.changed, key.revoked, app.changed: docs/api.md lists them.
    action: Option<String>,
    /// The id of what was changed.
    target: Option<String>,
    /// The name of the key, or the e-mail address of the user, that changed it.
    actor: Option<String>,
    /// Not before this time (RFC 3339).
    from: Option<String>,
    /// Before this time (RFC 3339).
    to: Option<String>,
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditJson {
    /// Its number in the whole installation's log.
    pub seq: u64,
    /// When.
    pub at: String,
    /// By whom.
    pub actor: ActorJson,
    /// What was done.
    pub action: String,
    /// The id of what it was done to.
    pub target: String,
    /// The changed fields before; secrets masked.
    #[schema(value_type = Object)]
    pub before: Value,
    /// The changed fields after; secrets masked.
    #[schema(value_type = Object)]
    pub after: Value,
    /// SHA-256 over the entry and the hash before it.
    pub hash: String,
}

/// Who made a change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct ActorJson {
    /// key, user, operator or system.
    pub kind: String,
    /// The key's or the user's id.
    pub id: String,
    /// The key's name or the user's e-mail address.
    pub name: String,
    /// The IP address that it came from; "" when it came from none.
    pub address: String,
}

impl AuditJson {
    fn of(row: AuditRow) -> Self {
        let fields = |json: &str| serde_json::from_str(json).unwrap_or_default();
        let AuditRow { seq, entry, hash } = row;
        let (kind, id, name, address) = (entry.actor_kind, entry.actor_id, entry.actor_name, entry.address);
        Self {
            seq,
            at: rfc3339(entry.at),
            actor: ActorJson { kind, id, name, address },
            action: entry.action,
            target: entry.target,
            before: fields(&entry.before),
            after: fields(&entry.after),
            hash,
        }
    }
}

/// Which entries to export.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditExportQuery {
    /// See the list.
    action: Option<String>,
    /// See the list.
    target: Option<String>,
    /// See the list.
    actor: Option<String>,
    /// Not before this time (RFC 3339).
    from: Option<String>,
    /// Before this time (RFC 3339).
    to: Option<String>,
}

/// Downloads changes as one JSON array, newest first, however many there are.
#[utoipa::path(
    get,
    path = paths::AUDIT_LOG_EXPORT,
    params(AuditExportQuery),
    tag = "audit log",
    responses((status = 200, body = Vec<AuditJson>), ApiError)
)]
pub async fn export(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<AuditExportQuery>,
) -> Result<Response, ApiError> {
    let query = query(&caller, asked, (None, EXPORT_ROWS))?;
    let catalog = Arc::clone(&api.parts.catalog);
    let read = move |query: AuditQuery| {
        let catalog = Arc::clone(&catalog);
        async move {
            let rows = catalog.audit_log(query.clone()).await;
            rows.map(|rows| {
                let last = rows.last().filter(|_| rows.len() == EXPORT_ROWS);
                let next = last.map(|row| AuditQuery { before: Some(row.seq), ..query });
                (rows, next)
            })
        }
    };
    Ok(export::download("audit-log.json", query, read, AuditJson::of))
}

/// Rows read at a time.
const EXPORT_ROWS: usize = 500;

/// Lists changes, newest first.
#[utoipa::path(
    get,
    path = paths::AUDIT_LOG,
    params(AuditListQuery),
    tag = "audit log",
    responses((status = 200, body = List<AuditJson>), ApiError)
)]
pub async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<AuditListQuery>,
) -> Result<Json<List<AuditJson>>, ApiError> {
    let AuditListQuery { action, target, actor, from, to, limit, cursor } = asked;
    let limit = list::limit(limit)?;
    let before = cursor.as_deref().map(before).transpose()?;
    let query = query(&caller, AuditExportQuery { action, target, actor, from, to }, (before, limit + 1))?;
    let mut rows = api.parts.catalog.audit_log(query).await.map_err(|error| ApiError::internal(&error))?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| format!("a{:x}", row.seq));
    Ok(Json(List { data: rows.into_iter().map(AuditJson::of).collect(), next }))
}

/// What is asked of the catalog.
fn query(
    caller: &Caller,
    asked: AuditExportQuery,
    (before, limit): (Option<u64>, usize),
) -> Result<AuditQuery, ApiError> {
    let AuditExportQuery { action, target, actor, from, to } = asked;
    let (from, to) = (list::time("from", from.as_deref())?, list::time("to", to.as_deref())?);
    Ok(AuditQuery { subscription: caller.subscription.id, before, from, to, action, target, actor, limit })
}

/// A page's end, as an earlier page gave it.
fn before(cursor: &str) -> Result<u64, ApiError> {
    let seq = cursor.strip_prefix('a').and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let seq = seq.filter(|seq| i64::try_from(*seq).is_ok());
    seq.ok_or_else(|| ApiError::Query(String::from("cursor: it does not belong to this list")))
}
