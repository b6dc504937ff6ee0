//! What is said of a failing webhook: that its owner was warned, or that it was turned off, why, and who was told.

use super::{DeliveryId, Position, Reason, SubscriptionId, UnixMs, UserId, WebhookId};
use serde::{Deserialize, Serialize};

/// What is to be done about a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncidentKind {
    /// Its owner is warned: it is half-way to being turned off.
    Warning,
    /// It is turned off: so many deliveries in a row have failed, for so long.
    FailuresInARow,
    /// It is turned off: too many of the deliveries within the window have failed.
    FailureRate,
}

impl IncidentKind {
    /// Every kind, in the order of its declaration.
    pub const ALL: [Self; 3] = [Self::Warning, Self::FailuresInARow, Self::FailureRate];

    /// Its name in the store, in mails and in the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::FailuresInARow => "failures_in_a_row",
            Self::FailureRate => "failure_rate",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Why it came to that, as part of a sentence: `failed` deliveries in a row, or of the last `of`, since `since`.
    pub fn why(self, failed: u64, of: u64, since: UnixMs) -> String {
        match self {
            Self::FailureRate => format!("{failed} of its last {of} deliveries failed"),
            Self::Warning | Self::FailuresInARow => {
                format!("{failed} deliveries in a row failed, the first at {}", since.rfc3339())
            }
        }
    }
}

/// A webhook's owner was warned, or it was turned off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Which webhook.
    pub webhook: WebhookId,
    /// Whose.
    pub subscription: SubscriptionId,
    /// The entry that brought it about. Of each incident there is one notice, whatever breaks while it is acted on: of
    /// several entries about one incident, the last says what was done.
    pub incident: Position,
    /// What was done, and by which rule.
    pub kind: IncidentKind,
    /// Deliveries that failed, in a row or within the window.
    pub failed: u64,
    /// Deliveries within the window, for [`IncidentKind::FailureRate`]; otherwise the same as `failed`.
    pub of: u64,
    /// When the first of a row failed.
    pub since: UnixMs,
    /// What the receiver last answered, newest first.
    pub answers: Vec<LastAnswer>,
    /// Who was told.
    pub mailed: Mailed,
    /// When it was done.
    pub at: UnixMs,
}

/// How the last attempt of a failing delivery ended. What the receiver wrote is not copied here: it may be about a
/// person, and goes with the attempt when that person is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAnswer {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// Where the attempt's outcome stands; `None` when it is no longer kept.
    pub outcome: Option<Position>,
    /// When the attempt began.
    pub at: UnixMs,
    /// The status that was received; 408 for a timeout of our own; 0 when there was none.
    pub status: u16,
    /// Why it failed.
    pub reason: Reason,
}

impl LastAnswer {
    /// It as a line for people.
    pub fn line(&self) -> String {
        let status = if self.status > 0 { format!("status {}. ", self.status) } else { String::new() };
        format!("{}: {status}{}", self.at.rfc3339(), self.reason.sentence())
    }
}

/// Who was told of a notice by mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mailed {
    /// The webhook's owner.
    Owner(UserId),
    /// Nobody: its owner is no longer a member of the subscription.
    OwnerHasLeft,
    /// Nobody: no user is known to have created it.
    NoOwner,
}

impl Mailed {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner(_) => "owner",
            Self::OwnerHasLeft => "owner_has_left",
            Self::NoOwner => "no_owner",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Entry;

    #[test]
    fn what_was_done_about_a_failing_webhook_has_a_fixed_form() {
        let delivery = DeliveryId { webhook: WebhookId(300), origin: Position(4) };
        let answer = LastAnswer {
            delivery,
            outcome: Some(Position(5)),
            at: UnixMs(6),
            status: 500,
            reason: Reason::ServerError,
        };
        let notice = Entry::Notice(Notice {
            webhook: WebhookId(300),
            subscription: SubscriptionId(1000),
            incident: Position(7),
            kind: IncidentKind::FailureRate,
            failed: 8,
            of: 9,
            since: UnixMs(10),
            answers: vec![answer],
            mailed: Mailed::Owner(UserId(11)),
            at: UnixMs(12),
        });
        let bytes = postcard::to_stdvec(&notice).unwrap();
        assert_eq!(hex::encode(&bytes), "13ac02e807070208091401ac020401050cf40304000b18");
        assert_eq!(postcard::from_bytes::<Entry<'_>>(&bytes).unwrap(), notice);
    }
}
