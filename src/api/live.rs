//! A webhook's deliveries as they happen: server-sent events for whoever looks on.
//!
//! A stream keeps no queue. It waits until there is something new on record, then looks at the newest rows, and looks
//! again when these were taken: what happens meanwhile, and is more than one message holds, is told as a number. So it
//! costs the same at a thousand deliveries a second as at one, and a reader that is slow, or asleep, costs nothing. It
//! reads what the projection has written, as every list does, and nothing ever waits for it.

use super::answer::DeliveryJson;
use super::auth::{self, Caller};
use super::list::{self, Asked};
use super::paths::Id;
use super::problem::ApiError;
use super::{Api, paths, webhooks};
use crate::limits::{
    LIVE_ASK, LIVE_BEAT, LIVE_PACE, LIVE_ROWS, LIVE_STREAMS, LIVE_STREAMS_PER_SUBSCRIPTION, LIVE_TTL, LIVE_WATCHED,
};
use crate::model::{DeliveryId, DeliveryState, Position, SubscriptionId};
use crate::record::view::{DeliveryQuery, DeliverySummary, Newer};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, header};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

/// Which deliveries to tell of.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LiveFilter {
    /// delivered, retrying, failed, cancelled or expired.
    status: Option<String>,
    /// An event's name.
    event: Option<String>,
}

/// Tells of a webhook's deliveries as they happen, as server-sent events: `deliveries` holds an array of the newest ones,
/// newest first, and of those that were sent as `retrying` and have changed; `skipped` says how many there were besides.
/// The first message holds what is newest now. The stream ends after a quarter of an hour, when the credential opens
/// nothing more, and when the webhook is deleted.
#[utoipa::path(
    get,
    path = paths::WEBHOOK_DELIVERIES_LIVE,
    params(("id" = String, Path), LiveFilter),
    tag = "deliveries",
    responses((status = 200, body = String, content_type = "text/event-stream"), ApiError)
)]
pub async fn live(
    caller: Caller,
    State(api): State<Arc<Api>>,
    Id(id): Id,
    headers: HeaderMap,
    Asked(asked): Asked<LiveFilter>,
) -> Result<Response, ApiError> {
    let query = DeliveryQuery {
        subscription: caller.subscription.id,
        webhook: webhooks::find(&api, &caller, &id)?.id,
        status: list::status(asked.status.as_deref())?,
        event: list::event(asked.event.as_deref())?,
        from: None,
        to: None,
        limit: LIVE_ROWS,
        cursor: None,
    };
    let place = Streams::enter(&api.streams, query.subscription).ok_or(ApiError::TooManyStreams)?;
    let live = Live::new(api, (caller, headers), query, place);
    let messages = stream::unfold(live, async |mut live| {
        let message = live.next().await?;
        Some((Ok::<_, Infallible>(message), live))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // nginx would keep back what is small.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(messages)).into_response())
}

/// Who looks on, counted.
#[derive(Debug, Default)]
pub struct Streams(Mutex<HashMap<SubscriptionId, usize>>);

/// One open stream; it is counted until this is dropped.
#[derive(Debug)]
struct Place(Arc<Streams>, SubscriptionId);

impl Streams {
    fn enter(streams: &Arc<Self>, subscription: SubscriptionId) -> Option<Place> {
        let mut open = streams.0.lock();
        let (all, of_this) = (open.values().sum::<usize>(), open.get(&subscription).copied().unwrap_or(0));
        if all >= LIVE_STREAMS || of_this >= LIVE_STREAMS_PER_SUBSCRIPTION {
            return None;
        }
        open.insert(subscription, of_this + 1);
        Some(Place(Arc::clone(streams), subscription))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.0.0.lock();
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

/// How many deliveries were left out.
#[derive(Debug, Serialize)]
struct Skipped {
    deliveries: u64,
    /// There were more than were counted.
    at_least: bool,
}

/// A stream.
struct Live {
    api: Arc<Api>,
    caller: Caller,
    headers: HeaderMap,
    query: DeliveryQuery,
    changes: watch::Receiver<Position>,
    seen: Option<Position>,
    /// Deliveries that were told of while they waited for a retry, and after how many attempts.
    watched: Vec<(DeliveryId, u32)>,
    ends_at: Instant,
    beat_at: Instant,
    look_at: Instant,
    ask_at: Instant,
    _place: Place,
}

/// Why a stream goes on.
enum Woken {
    /// There may be something new.
    Changed,
    /// There was nothing for a while.
    Beat,
    /// It does not.
    Ended,
}

impl Live {
    fn new(api: Arc<Api>, (caller, headers): (Caller, HeaderMap), query: DeliveryQuery, place: Place) -> Self {
        // Before the first look: what comes after it is not missed.
        let changes = api.parts.records.changes();
        let now = Instant::now();
        Self {
            api,
            caller,
            headers,
            query,
            changes,
            seen: None,
            watched: Vec::new(),
            ends_at: now + LIVE_TTL,
            beat_at: now + LIVE_BEAT,
            look_at: now,
            ask_at: now + LIVE_ASK,
            _place: place,
        }
    }

    /// The next message; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let woken = if self.seen.is_none() { Woken::Changed } else { self.woken().await };
            if matches!(woken, Woken::Ended) || !self.may_go_on().await {
                return None;
            }
            let message = match woken {
                Woken::Changed => self.look().await?,
                _ => Some(Bytes::from_static(b":\n\n")),
            };
            if let Some(message) = message {
                self.beat_at = Instant::now() + LIVE_BEAT;
                return Some(message);
            }
        }
    }

    async fn woken(&mut self) -> Woken {
        let stop = self.api.parts.stop.clone();
        let changed = async {
            sleep_until(self.look_at).await;
            self.changes.changed().await
        };
        tokio::select! {
            () = stop.cancelled() => Woken::Ended,
            () = sleep_until(self.ends_at) => Woken::Ended,
            () = sleep_until(self.beat_at) => Woken::Beat,
            changed = changed => if changed.is_ok() { Woken::Changed } else { Woken::Ended },
        }
    }

    /// Whether the caller may still read, and there is still something to read of. It is not asked for every message.
    async fn may_go_on(&mut self) -> bool {
        if Instant::now() < self.ask_at {
            return true;
        }
        self.ask_at = Instant::now() + LIVE_ASK;
        let is_there = self.api.parts.catalog.current().webhook(self.query.subscription, self.query.webhook).is_some();
        is_there && auth::still_opens(&self.api, &self.headers, &self.caller).await
    }

    /// What is new, if anything is; `None` when the records fail, which ends the stream.
    async fn look(&mut self) -> Option<Option<Bytes>> {
        self.look_at = Instant::now() + LIVE_PACE;
        let (query, seen) = (self.query.clone(), self.seen);
        let ids: Vec<_> = self.watched.iter().map(|(id, _)| *id).collect();
        let newer = self.api.records(move |records| records.newer(&query, seen, &ids)).await;
        let newer = newer.inspect_err(|error| tracing::warn!(%error, "a stream of deliveries was broken off")).ok()?;
        let is_first = seen.is_none();
        self.seen = Some(newer.seen);
        let message = self.message(newer);
        // The first one comes in any case: it says that the stream is open.
        Some(message.or_else(|| is_first.then(|| Bytes::from_static(b"event: deliveries\ndata: []\n\n"))))
    }

    fn message(&mut self, newer: Newer) -> Option<Bytes> {
        let Newer { rows, skipped, is_complete, watched, .. } = newer;
        let mut text = String::new();
        if skipped > 0 {
            push(&mut text, "skipped", &Skipped { deliveries: skipped, at_least: !is_complete });
        }
        let changed = watched.into_iter().filter(|row| !self.watched.contains(&(row.id, row.attempts)) || !waits(row));
        let told: Vec<_> = rows.into_iter().chain(changed).collect();
        self.watch(&told);
        if !told.is_empty() {
            push(&mut text, "deliveries", &told.iter().map(DeliveryJson::of).collect::<Vec<_>>());
        }
        (!text.is_empty()).then(|| Bytes::from(text))
    }

    /// Keeps an eye on those that wait for a retry.
    fn watch(&mut self, told: &[DeliverySummary]) {
        self.watched.retain(|(id, _)| told.iter().all(|row| row.id != *id));
        self.watched.extend(told.iter().rev().filter(|row| waits(row)).map(|row| (row.id, row.attempts)));
        let too_many = self.watched.len().saturating_sub(LIVE_WATCHED);
        self.watched.drain(..too_many);
    }
}

fn waits(row: &DeliverySummary) -> bool {
    row.status == DeliveryState::Retrying
}

/// One server-sent event. JSON of ours has no line breaks.
fn push<T: Serialize>(text: &mut String, name: &str, data: &T) {
    let data = serde_json::to_string(data).unwrap_or_default();
    text.push_str(&format!("event: {name}\ndata: {data}\n\n"));
}
