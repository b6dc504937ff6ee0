//! Entries about visitors and accounts.

use crate::model::{PersonKind, SubscriptionId, UnixMs};
use serde::{Deserialize, Serialize};

/// A visit: an agent told of this visitor. One entry stands for all items of a batch, and for those of the next minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitEntry<'a> {
    /// The customer.
    pub subscription: SubscriptionId,
    /// Who.
    pub visitor_id: &'a str,
    /// For which account; "" for none.
    pub account_id: &'a str,
    /// When.
    pub at: UnixMs,
    /// With which browser; "" when its User-Agent names none that is known.
    pub browser_name: &'a str,
    /// Its version, three parts.
    pub browser_version: &'a str,
    /// The visitor's metadata as the agent gave it, a JSON object; "" when it gave none.
    pub visitor: &'a str,
    /// The account's.
    pub account: &'a str,
}

/// What a visitor has done with a guide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuideEntry<'a> {
    /// The customer.
    pub subscription: SubscriptionId,
    /// Who, anonymous visitors too.
    pub visitor_id: &'a str,
    /// With which guide.
    pub guide_id: &'a str,
    /// On which of its steps.
    pub step_id: &'a str,
    /// What.
    pub did: GuideDid,
    /// When it was accepted.
    pub at: UnixMs,
}

/// What visitors do with guides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuideDid {
    /// Closed it, or came to its end.
    Ended,
    /// Put it off.
    Snoozed {
        /// Until then.
        until: UnixMs,
    },
    /// Answered polls of the step.
    Answered,
}

/// An anonymous visitor who turned out to be somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedEntry<'a> {
    /// The customer.
    pub subscription: SubscriptionId,
    /// Who it was.
    pub anonymous_id: &'a str,
    /// Who it is.
    pub visitor_id: &'a str,
    /// When.
    pub at: UnixMs,
}

/// Values of one group of metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataEntry<'a> {
    /// The customer.
    pub subscription: SubscriptionId,
    /// Whether `id` is a visitor's or an account's.
    pub kind: PersonKind,
    /// Whose.
    pub id: &'a str,
    /// Which group.
    pub group: &'a str,
    /// A JSON object; null takes a field away, fields that are not named stay.
    pub values: &'a str,
    /// When.
    pub at: UnixMs,
}
