//! `/webhooks/{id}/figures`: how a webhook did, step by step.

use super::answer::rfc3339;
use super::auth::Caller;
use super::list::{self, Asked};
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, Span, paths, webhooks};
use crate::limits::FIGURE_STEPS;
use crate::model::UnixMs;
use crate::record::view::FigureStep;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// What is shown to those who name no time.
const SPAN: Duration = Duration::from_secs(24 * 3600);

/// A step when none is named, and the longest, in minutes.
const STEP_DEFAULT_MIN: i64 = 5;
const STEP_MOST_MIN: i64 = 24 * 60;

/// Which figures.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FigureQuery {
    /// From the minute of this time on (RFC 3339); a day before `to` by default.
    from: Option<String>,
    /// Before the minute of this time (RFC 3339); the one after now by default.
    to: Option<String>,
    /// Minutes of a step: 1 to 1440, 5 by default. At most 1440 steps are answered.
    step_min: Option<i64>,
}

/// How a webhook did.
#[derive(Debug, Serialize, ToSchema)]
pub struct FiguresJson {
    /// From this minute on.
    #[schema(format = DateTime)]
    from: String,
    /// Before this one.
    #[schema(format = DateTime)]
    to: String,
    /// Minutes of a step.
    step_min: i64,
    /// The steps in which something was attempted, oldest first.
    data: Vec<FigureJson>,
}

/// How a webhook did in one step. Deliveries that somebody asked for are not counted.
#[derive(Debug, Serialize, ToSchema)]
pub struct FigureJson {
    /// When the step begins.
    #[schema(format = DateTime)]
    at: String,
    /// Deliveries that succeeded.
    delivered: u64,
    /// Deliveries that failed for good.
    failed: u64,
    /// Attempts.
    attempts: u64,
    /// Attempts that failed.
    failed_attempts: u64,
    /// Half of the attempts took less, in milliseconds.
    p50_ms: f64,
    /// 95 of 100 did.
    p95_ms: f64,
    /// 99 of 100 did. Each is estimated; what took longer than ten seconds counts as ten.
    p99_ms: f64,
    /// The longest that an event had waited for its first attempt: at least so many minutes.
    waited_min: u64,
}

impl FigureJson {
    fn of(step: FigureStep) -> Self {
        let FigureStep { at, delivered, failed, attempts, failed_attempts, took_ms, waited_min } = step;
        let [p50_ms, p95_ms, p99_ms] = took_ms;
        Self { at: rfc3339(at), delivered, failed, attempts, failed_attempts, p50_ms, p95_ms, p99_ms, waited_min }
    }
}

/// Reads how a webhook did: deliveries, attempts, how long they took and how long events had waited, step by step.
#[utoipa::path(
    get,
    path = paths::WEBHOOK_FIGURES,
    params(("id" = String, Path), FigureQuery),
    tag = "webhooks",
    responses((status = 200, body = FiguresJson), ApiError)
)]
pub async fn read(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    Asked(asked): Asked<FigureQuery>,
) -> Result<Json<FiguresJson>, ApiError> {
    let webhook = webhooks::find(&api, &caller, &id)?.id;
    let (span, step_min) = span(&asked, api.parts.clock.now())?;
    let steps = api.records(move |records| records.figures(webhook, span, step_min)).await?;
    let (from, to) = (rfc3339(span.0), rfc3339(span.1));
    Ok(Json(FiguresJson { from, to, step_min, data: steps.into_iter().map(FigureJson::of).collect() }))
}

/// Which stretch of time, and the minutes of a step.
fn span(asked: &FigureQuery, now: UnixMs) -> Result<(Span, i64), ApiError> {
    let wrong = |text: String| Err(ApiError::Query(text));
    let step_min = asked.step_min.unwrap_or(STEP_DEFAULT_MIN);
    if !(1..=STEP_MOST_MIN).contains(&step_min) {
        return wrong(format!("step_min: must be from 1 to {STEP_MOST_MIN}"));
    }
    let minute = Duration::from_secs(60);
    let to = list::time("to", asked.to.as_deref())?.unwrap_or_else(|| now.after(minute));
    let from = list::time("from", asked.from.as_deref())?.unwrap_or_else(|| to.before(SPAN));
    let minutes = to.since(from).as_secs() / minute.as_secs();
    if minutes as i64 > step_min.saturating_mul(FIGURE_STEPS) {
        return wrong(format!("step_min: in this time there are more than {FIGURE_STEPS} steps of {step_min} minutes"));
    }
    Ok(((from, to), step_min))
}
