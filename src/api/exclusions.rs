//! `/exclusions`: whose events are kept but pushed to nobody. One by one, or many at once as CSV.

use super::answer::{List, rfc3339};
use super::auth::{Admin, Caller};
use super::body::{self, Fields};
use super::list::{self, Asked};
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, paths};
use crate::catalog::{ChangeError, Exclusion, ExclusionValues};
use crate::model::{ExclusionId, ExclusionKind};
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// The first line of the CSV form.
const COLUMNS: [&str; 2] = ["kind", "pattern"];

/// What a rule looks at and matches.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body in the OpenAPI document; the fields are taken one by one")]
pub struct ExclusionInput {
    /// visitor, account, ip or host.
    #[schema(example = "visitor")]
    pub kind: String,
    /// An id, an address or a network, or a host; `*` stands for any text. Ids are case-sensitive.
    #[schema(example = "test-*")]
    pub pattern: String,
}

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Exclusion)]
pub struct ExclusionJson {
    /// `exc_` and 16 hex digits.
    pub id: String,
    /// visitor, account, ip or host.
    pub kind: &'static str,
    /// What it matches.
    pub pattern: String,
    /// When it was made.
    pub created_at: String,
}

/// What became of an import.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExclusionImport)]
pub struct ImportJson {
    /// Rows in the file.
    pub total: usize,
    /// Rules that were made of them; the others were there already.
    pub made: usize,
}

/// Which rules to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExclusionListQuery {
    /// Rows at most: 1 to 500, 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl ExclusionJson {
    fn of(rule: &Exclusion) -> Self {
        Self {
            id: rule.id.to_string(),
            kind: rule.kind.name(),
            pattern: rule.pattern.clone(),
            created_at: rfc3339(rule.created_at),
        }
    }
}

/// Makes a rule. It holds for what comes in from now on. One that is there already is answered with 409.
#[utoipa::path(
    post,
    path = paths::EXCLUSIONS,
    request_body = ExclusionInput,
    tag = "exclusions",
    responses((status = 201, body = ExclusionJson), ApiError)
)]
pub async fn create(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let kind: String = fields.require("kind", "a string")?;
    let kind = ExclusionKind::from_name(&kind).ok_or_else(|| ApiError::field("kind", kinds()))?;
    let pattern = fields.require("pattern", "a string")?;
    fields.finish()?;
    let values = vec![ExclusionValues { kind, pattern }];
    let made = api.parts.catalog.make_exclusions(caller.actor(), caller.subscription.id, values).await;
    let made = made.map_err(from_change)?.pop().ok_or(ApiError::SameExclusion)?;
    let location = format!("{}/{}", paths::EXCLUSIONS, made.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(ExclusionJson::of(&made))).into_response())
}

/// Lists the rules, oldest first.
#[utoipa::path(
    get,
    path = paths::EXCLUSIONS,
    params(ExclusionListQuery),
    tag = "exclusions",
    responses((status = 200, body = List<ExclusionJson>), ApiError)
)]
pub async fn list(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<ExclusionListQuery>,
) -> Result<Json<List<ExclusionJson>>, ApiError> {
    let limit = list::limit(asked.limit)?;
    let all = rules(&api, &caller);
    let from = match &asked.cursor {
        None => 0,
        Some(cursor) => place(&all, cursor).ok_or_else(|| {
            ApiError::Query(String::from("cursor: it does not belong to this list, or its rule was deleted"))
        })?,
    };
    let data: Vec<_> = all[from..].iter().take(limit).map(|rule| ExclusionJson::of(rule)).collect();
    let next = all.get(from + data.len()).map(|rule| rule.id.to_string());
    Ok(Json(List { data, next }))
}

/// Reads one rule.
#[utoipa::path(
    get,
    path = paths::EXCLUSION,
    params(("id" = String, Path)),
    tag = "exclusions",
    responses((status = 200, body = ExclusionJson), ApiError)
)]
pub async fn read(caller: Caller, State(api): State<Arc<Api>>, Id(id): Id) -> Result<Json<ExclusionJson>, ApiError> {
    let all = rules(&api, &caller);
    let rule = place(&all, &id).and_then(|place| all.get(place)).ok_or(ApiError::NotFound("exclusion"))?;
    Ok(Json(ExclusionJson::of(rule)))
}

/// Deletes a rule. What it kept back is not sent: it holds no longer for what comes in from now on.
#[utoipa::path(
    delete,
    path = paths::EXCLUSION,
    params(("id" = String, Path)),
    tag = "exclusions",
    responses((status = 204), ApiError)
)]
pub async fn delete(Admin(caller): Admin, State(api): State<Arc<Api>>, Id(id): Id) -> Result<StatusCode, ApiError> {
    let id: ExclusionId = id.parse().map_err(|_| ApiError::NotFound("exclusion"))?;
    let of = (caller.subscription.id, id);
    api.parts.catalog.remove_exclusion(caller.actor(), of).await.map_err(from_change)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Downloads all rules as CSV, in the form that the import takes.
#[utoipa::path(
    get,
    path = paths::EXCLUSIONS_CSV,
    tag = "exclusions",
    responses((status = 200, body = String, content_type = "text/csv"), ApiError)
)]
pub async fn export(caller: Caller, State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let rules = rules(&api, &caller);
    let rows = rules.iter().map(|rule| [rule.kind.name(), rule.pattern.as_str()]);
    let written = std::iter::once(COLUMNS).chain(rows).try_for_each(|row| writer.write_record(row));
    written.map_err(|error| ApiError::internal(&error))?;
    let text = writer.into_inner().map_err(|error| ApiError::internal(error.error()))?;
    let disposition = "attachment; filename=\"exclusions.csv\"";
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, text).into_response())
}

/// Makes rules of a CSV file with the columns kind and pattern: all of them, or none. Rules that are there already are
/// left as they are.
#[utoipa::path(
    post,
    path = paths::EXCLUSIONS_CSV,
    request_body(content = String, content_type = "text/csv", example = "kind,pattern\nvisitor,test-*\nip,10.1.0.0/16\n"),
    tag = "exclusions",
    responses((status = 200, body = ImportJson), ApiError)
)]
pub async fn import(
    Admin(caller): Admin,
    State(api): State<Arc<Api>>,
    CsvRows(rows): CsvRows,
) -> Result<Json<ImportJson>, ApiError> {
    let total = rows.len();
    let lines: Vec<u64> = rows.iter().map(|(line, _)| *line).collect();
    let values = rows.into_iter().map(|(_, values)| values).collect();
    let made = api.parts.catalog.make_exclusions(caller.actor(), caller.subscription.id, values).await;
    let made = made.map_err(|error| match error {
        ChangeError::Row(place, wrong) => at_line(lines.get(place).copied().unwrap_or_default(), wrong.problem),
        other => from_change(other),
    })?;
    Ok(Json(ImportJson { total, made: made.len() }))
}

/// The rows of a CSV file, with the line of each.
#[derive(Debug)]
pub struct CsvRows(Vec<(u64, ExclusionValues)>);

impl FromRequest<Arc<Api>> for CsvRows {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_csv = content_type.is_some_and(|value| value.trim().to_ascii_lowercase().starts_with("text/csv"));
        let body = body::read(request, api.parts.settings.body_bytes).await?;
        if !is_csv && !body.is_empty() {
            return Err(ApiError::NotCsv);
        }
        parse(&body).map(Self)
    }
}

fn parse(body: &[u8]) -> Result<Vec<(u64, ExclusionValues)>, ApiError> {
    // Spreadsheets put a mark before the first byte.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(body);
    let wrong_head = || ApiError::field("line 1", "must be: kind,pattern");
    if reader.headers().map_err(|_| wrong_head())?.iter().ne(COLUMNS) {
        return Err(wrong_head());
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            at_line(
                error.position().map_or(0, csv::Position::line),
                String::from("must have two columns of UTF-8 text"),
            )
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let kind = ExclusionKind::from_name(&record[0]).ok_or_else(|| at_line(line, format!("kind {}", kinds())))?;
        rows.push((line, ExclusionValues { kind, pattern: record[1].to_owned() }));
    }
    Ok(rows)
}

fn at_line(line: u64, problem: String) -> ApiError {
    ApiError::field(format!("line {line}"), problem)
}

fn kinds() -> String {
    format!("must be one of {}", ExclusionKind::ALL.map(ExclusionKind::name).join(", "))
}

fn rules(api: &Api, caller: &Caller) -> Vec<Arc<Exclusion>> {
    let current = api.parts.catalog.current();
    current.exclusions(caller.subscription.id).map(|rules| rules.all().to_vec()).unwrap_or_default()
}

fn place(all: &[Arc<Exclusion>], id: &str) -> Option<usize> {
    let id: ExclusionId = id.parse().ok()?;
    all.iter().position(|rule| rule.id == id)
}

fn from_change(error: ChangeError) -> ApiError {
    match error {
        ChangeError::NotFound => ApiError::NotFound("exclusion"),
        ChangeError::TooMany(count) => ApiError::TooManyExclusions(count),
        other => ApiError::from_change(other),
    }
}
