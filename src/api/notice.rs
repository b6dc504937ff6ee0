//! What was done about a failing webhook, as the error log and the webhook's own log show it.

use super::answer::{DeliveryDetailJson, excerpt, rfc3339};
use super::webhook_answer::OwnerJson;
use crate::catalog::Snapshot;
use crate::model::{IncidentKind, LastAnswer, Mailed, Notice};
use crate::record::view::{Excerpt, LogItem, NoticeView};
use serde::Serialize;
use std::fmt::Write as _;
use utoipa::ToSchema;

/// That a webhook was turned off, or that its owner was warned of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Notice)]
pub struct NoticeJson {
    /// Which webhook.
    pub webhook_id: String,
    /// Its name; null when it was deleted.
    pub webhook_name: Option<String>,
    /// When.
    pub at: String,
    /// The rule that applied: failures_in_a_row (a warning stands at half of it) or failure_rate.
    pub rule: &'static str,
    /// Why, for people.
    pub reason: String,
    /// Deliveries that failed: in a row, or of `deliveries`.
    pub failed: u64,
    /// For failure_rate the deliveries that were counted; otherwise the same as `failed`.
    pub deliveries: u64,
    /// When the first of the row failed.
    pub since: String,
    /// What the receiver last answered, newest first.
    pub answers: Vec<AnswerJson>,
    /// Who was told by mail: owner; or nobody: owner_has_left (they are no longer a member), no_owner (none is known).
    pub mailed: &'static str,
    /// The owner who was told; null when nobody was.
    pub mailed_to: Option<OwnerJson>,
    /// All of this as text, to be pasted into a message to whoever runs the receiver.
    pub text: String,
}

/// What a receiver answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Answer)]
pub struct AnswerJson {
    /// The delivery, with its other attempts.
    pub delivery_id: String,
    /// When the attempt began.
    pub at: String,
    /// The status received; 408 for a timeout of our own; null when there was none.
    pub status: Option<u16>,
    /// Why the attempt failed, for programs.
    pub reason: &'static str,
    /// The same, for people.
    pub sentence: &'static str,
    /// The beginning of the answer's body; null when it is not text, or no longer kept.
    pub excerpt: Option<String>,
    /// Whether the body was longer.
    pub excerpt_cut: bool,
}

/// A line of a webhook's log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = LogEntry)]
pub enum LogJson {
    /// A delivery with all its attempts.
    Delivery(Box<DeliveryDetailJson>),
    /// The webhook was turned off because its deliveries fail.
    TurnedOff(NoticeJson),
    /// The webhook's owner was warned that its deliveries fail.
    Warned(NoticeJson),
}

impl LogJson {
    /// A line as it is shown.
    pub fn of(item: &LogItem, snapshot: &Snapshot) -> Self {
        match item {
            LogItem::Delivery(detail) => Self::Delivery(Box::new(DeliveryDetailJson::of(detail))),
            LogItem::Notice(view) if is_warning(view) => Self::Warned(NoticeJson::of(view, snapshot)),
            LogItem::Notice(view) => Self::TurnedOff(NoticeJson::of(view, snapshot)),
        }
    }
}

/// Whether somebody was only warned.
pub fn is_warning(view: &NoticeView) -> bool {
    view.notice.kind == IncidentKind::Warning
}

impl NoticeJson {
    /// A notice as it is shown.
    pub fn of(view: &NoticeView, snapshot: &Snapshot) -> Self {
        let notice = &view.notice;
        let webhook = snapshot.webhooks.get(&notice.webhook);
        let mut shown = Self {
            webhook_id: notice.webhook.to_string(),
            webhook_name: webhook.map(|webhook| webhook.values.name.clone()),
            at: rfc3339(notice.at),
            rule: match notice.kind {
                IncidentKind::Warning => IncidentKind::FailuresInARow.name(),
                kind => kind.name(),
            },
            reason: notice.kind.why(notice.failed, notice.of, notice.since),
            failed: notice.failed,
            deliveries: notice.of,
            since: rfc3339(notice.since),
            answers: notice.answers.iter().zip(&view.excerpts).map(AnswerJson::of).collect(),
            mailed: notice.mailed.name(),
            mailed_to: owner(notice, snapshot),
            text: String::new(),
        };
        shown.text = text(&shown, notice);
        shown
    }
}

impl AnswerJson {
    fn of((answer, kept): (&LastAnswer, &Option<Excerpt>)) -> Self {
        Self {
            delivery_id: answer.delivery.to_string(),
            at: rfc3339(answer.at),
            status: Some(answer.status).filter(|status| *status != 0),
            reason: answer.reason.code(),
            sentence: answer.reason.sentence(),
            excerpt: kept.as_ref().and_then(|kept| excerpt(&kept.body, kept.is_cut)),
            excerpt_cut: kept.as_ref().is_some_and(|kept| kept.is_cut),
        }
    }
}

fn owner(notice: &Notice, snapshot: &Snapshot) -> Option<OwnerJson> {
    let Mailed::Owner(id) = notice.mailed else { return None };
    snapshot.users.get(&id).map(|user| OwnerJson::of(user))
}

fn text(shown: &NoticeJson, notice: &Notice) -> String {
    let what = match notice.kind {
        IncidentKind::Warning => "Warning about webhook",
        IncidentKind::FailuresInARow | IncidentKind::FailureRate => "Turned off: webhook",
    };
    let name = shown.webhook_name.as_deref().unwrap_or("(deleted)");
    let mut text = format!("{what} {name} ({})\nWhen: {}\nWhy: {}\n", shown.webhook_id, shown.at, shown.reason);
    let told = match (notice.mailed, &shown.mailed_to) {
        (Mailed::Owner(_), Some(owner)) => format!("{} <{}>", owner.name, owner.email),
        (Mailed::Owner(id), None) => id.to_string(),
        (Mailed::OwnerHasLeft, _) => String::from("nobody: the owner is no longer a member"),
        (Mailed::NoOwner, _) => String::from("nobody: the webhook has no owner"),
    };
    // Writing to a string has no way to fail.
    let _ = writeln!(text, "Mailed: {told}");
    for (answer, json) in notice.answers.iter().zip(&shown.answers) {
        let _ = writeln!(text, "\nDelivery {}\n{}", json.delivery_id, answer.line());
        if let Some(excerpt) = json.excerpt.as_deref().filter(|excerpt| !excerpt.is_empty()) {
            let _ = writeln!(text, "Response body{}:\n{excerpt}", if json.excerpt_cut { " (cut)" } else { "" });
        }
    }
    text
}
