//! The names that a filter may use: those of the envelope (docs/events.md). What is under `properties` depends on the
//! event and, for track events, on who sends it.

use super::check::Type;
use crate::model::{Category, EventKind, Platform};

/// A value of the envelope, which every event has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Event,
    Category,
    AppId,
    AppName,
    AppPlatform,
    AccountId,
    VisitorId,
    SubscriptionId,
    SubscriptionName,
    UserAgent,
    Timestamp,
    UniqueId,
}

impl Known {
    pub(super) const ALL: [Self; 12] = [
        Self::Event,
        Self::Category,
        Self::AppId,
        Self::AppName,
        Self::AppPlatform,
        Self::AccountId,
        Self::VisitorId,
        Self::SubscriptionId,
        Self::SubscriptionName,
        Self::UserAgent,
        Self::Timestamp,
        Self::UniqueId,
    ];

    /// As it is written; also where it stands in the body, except for the category.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Category => "category",
            Self::AppId => "app.id",
            Self::AppName => "app.name",
            Self::AppPlatform => "app.platform",
            Self::AccountId => "accountId",
            Self::VisitorId => "visitorId",
            Self::SubscriptionId => "subscription.id",
            Self::SubscriptionName => "subscription.name",
            Self::UserAgent => "userAgent",
            Self::Timestamp => "timestamp",
            Self::UniqueId => "uniqueId",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    pub(super) fn kind(self) -> Type {
        match self {
            Self::AppId | Self::SubscriptionId | Self::Timestamp => Type::Int,
            _ => Type::Text,
        }
    }

    /// All the texts that it can be, where there are few.
    pub(super) fn words(self) -> Option<Vec<&'static str>> {
        match self {
            Self::Event => Some(EventKind::ALL.map(EventKind::name).to_vec()),
            Self::Category => Some(Category::ALL.into_iter().chain([Category::Audit]).map(Category::name).collect()),
            Self::AppPlatform => Some([Platform::Web, Platform::Ios, Platform::Android].map(Platform::name).to_vec()),
            _ => None,
        }
    }
}

/// The objects of the envelope whose fields are known.
pub(super) const OBJECTS: [&str; 2] = ["app", "subscription"];

/// The object whose fields are not.
pub(super) const PROPERTIES: &str = "properties";

/// What may be called.
pub(super) const FUNCTIONS: [&str; 11] =
    ["has", "size", "contains", "startsWith", "endsWith", "exists", "all", "exists_one", "in", "int", "double"];

/// "did you mean …? " when one of `all` is close to `word`, then all of them.
pub(super) fn instead<'a>(word: &str, all: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let lower = word.to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.to_lowercase());
    let near = all.clone().into_iter().map(|other| (distance(other), other)).min();
    let list = all.into_iter().collect::<Vec<_>>().join(", ");
    match near {
        Some((distance, other)) if distance <= 2 || distance * 3 <= word.len() => {
            format!("did you mean {other}? It must be one of {list}")
        }
        _ => format!("it must be one of {list}"),
    }
}
