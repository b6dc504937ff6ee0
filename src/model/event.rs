//! What can happen, and the categories by which webhooks ask for it.

use serde::{Deserialize, Serialize};

/// A fact that webhooks may be told of. The order is the order of `docs/events.md`; the numbers are
/// written to the journal and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventKind {
    /// A guide's step was shown.
    GuideDisplayed,
    /// A step with a poll other than NPS was shown.
    PollDisplayed,
    /// Poll answers were submitted.
    PollSubmitted,
    /// A step with an NPS rating was shown.
    NpsDisplayed,
    /// An NPS rating was submitted.
    NpsSubmitted,
    /// A visitor was identified in-app for the first time.
    VisitorCreated,
    /// An account was seen in-app for the first time.
    AccountCreated,
    /// A track event was received.
    TrackEventReceived,
    /// Somebody changed something, and it is in the audit log.
    AuditRecorded,
}

impl EventKind {
    /// All kinds, in order.
    pub const ALL: [Self; 9] = {
        let [a, b, c, d, e, f, g, h] = Self::TAKEN_IN;
        [a, b, c, d, e, f, g, h, Self::AuditRecorded]
    };

    /// The eight that happen in a product, in order.
    pub const TAKEN_IN: [Self; 8] = [
        Self::GuideDisplayed,
        Self::PollDisplayed,
        Self::PollSubmitted,
        Self::NpsDisplayed,
        Self::NpsSubmitted,
        Self::VisitorCreated,
        Self::AccountCreated,
        Self::TrackEventReceived,
    ];

    /// The name in the body's `event`.
    pub fn name(self) -> &'static str {
        match self {
            Self::GuideDisplayed => "guideDisplayed",
            Self::PollDisplayed => "pollDisplayed",
            Self::PollSubmitted => "pollSubmitted",
            Self::NpsDisplayed => "npsDisplayed",
            Self::NpsSubmitted => "npsSubmitted",
            Self::VisitorCreated => "visitorCreated",
            Self::AccountCreated => "accountCreated",
            Self::TrackEventReceived => "trackEventReceived",
            Self::AuditRecorded => "auditRecorded",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The category that brings this event.
    pub fn category(self) -> Category {
        match self {
            Self::GuideDisplayed => Category::Guides,
            Self::PollDisplayed | Self::PollSubmitted => Category::Polls,
            Self::NpsDisplayed | Self::NpsSubmitted => Category::Nps,
            Self::VisitorCreated => Category::Visitors,
            Self::AccountCreated => Category::Accounts,
            Self::TrackEventReceived => Category::TrackEvents,
            Self::AuditRecorded => Category::Audit,
        }
    }
}

/// What events are grouped by. All but the last can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// guideDisplayed
    Guides,
    /// pollDisplayed, pollSubmitted
    Polls,
    /// npsDisplayed, npsSubmitted
    Nps,
    /// trackEventReceived
    TrackEvents,
    /// visitorCreated
    Visitors,
    /// accountCreated
    Accounts,
    /// auditRecorded: not among a webhook's categories, but asked for by itself ([`Selection::audit`]).
    Audit,
}

impl Category {
    /// All categories that can be chosen, in the order of the contract's list.
    pub const ALL: [Self; 6] =
        [Self::Guides, Self::Polls, Self::Nps, Self::TrackEvents, Self::Visitors, Self::Accounts];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guides => "guides",
            Self::Polls => "polls",
            Self::Nps => "nps",
            Self::TrackEvents => "track_events",
            Self::Visitors => "visitors",
            Self::Accounts => "accounts",
            Self::Audit => "audit",
        }
    }

    /// The category with this API name, if it can be chosen.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }
}

/// The categories of one webhook. "All" is stored as such, so that a category added later joins by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CategorySet {
    /// All event categories, those of later versions included.
    All,
    /// The chosen ones: bit `Category as u8` is set.
    Some(u32),
}

impl CategorySet {
    /// The set of exactly these.
    pub fn of(categories: impl IntoIterator<Item = Category>) -> Self {
        Self::Some(categories.into_iter().fold(0, |bits, category| bits | 1 << category as u8))
    }

    /// Whether events of `category` are wanted.
    pub fn contains(self, category: Category) -> bool {
        match self {
            Self::All => category != Category::Audit,
            Self::Some(bits) => bits & (1 << category as u8) != 0,
        }
    }

    /// The chosen categories in the contract's order; every known one for "All".
    pub fn iter(self) -> impl Iterator<Item = Category> {
        Category::ALL.into_iter().filter(move |category| self.contains(*category))
    }
}

/// Which events a webhook is told of, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Which categories.
    pub categories: CategorySet,
    /// Whether administrative changes too.
    pub audit: bool,
    /// Which of these, in CEL (docs/filters.md); all of them without one.
    pub filter: Option<String>,
}

impl From<CategorySet> for Selection {
    /// All events of these categories.
    fn from(categories: CategorySet) -> Self {
        Self { categories, audit: false, filter: None }
    }
}

/// Why an accepted event is kept and shown but pushed to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Withheld {
    /// An exclusion rule matched at intake.
    Excluded {
        /// The rule's id.
        rule: u64,
    },
    /// Poll and NPS events need an agent of version 2.33.0 or higher.
    AgentTooOld,
}
