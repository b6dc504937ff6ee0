//! The names that a rule may use. A filter's are those of the envelope (docs/events.md); what is under `properties` depends
//! on the event and, for track events, on who sends it. An audience's are the visitor and the account (docs/guides.md).

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
const ENVELOPE_OBJECTS: [&str; 2] = ["app", "subscription"];

/// The object of an event whose fields are not.
const PROPERTIES: &str = "properties";

/// What an audience is asked about: each has an `id`, and groups of metadata.
const PEOPLE: [&str; 2] = ["visitor", "account"];

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// A filter looks at an event.
    Event,
    /// An audience looks at a visitor and their account.
    People,
}

impl Vocabulary {
    /// What such a rule is called.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Event => "filter",
            Self::People => "rule",
        }
    }

    /// The object of this name whose fields are not known.
    pub(super) fn object(self, name: &str) -> Option<&'static str> {
        let all: &[&'static str] = match self {
            Self::Event => &[PROPERTIES],
            Self::People => &PEOPLE,
        };
        all.iter().copied().find(|object| *object == name)
    }

    /// The value of this name.
    pub(super) fn known(self, name: &str) -> Option<Known> {
        Known::ALL.into_iter().find(|known| self == Self::Event && known.name() == name)
    }

    /// Whether it is an object whose fields are known.
    pub(super) fn has_fields(self, name: &str) -> bool {
        self == Self::Event && ENVELOPE_OBJECTS.contains(&name)
    }

    /// What is known of a field of an object whose fields are not.
    pub(super) fn field(self, object: &str, field: &str) -> Type {
        match (self, object) {
            (Self::People, "visitor" | "account") if field == "id" => Type::Text,
            (Self::People, "visitor" | "account") => Type::Object,
            _ => Type::Any,
        }
    }

    /// All that may be written, for errors.
    pub(super) fn all(self) -> Vec<&'static str> {
        match self {
            Self::Event => Known::ALL.iter().map(|known| known.name()).chain(["properties.…"]).collect(),
            Self::People => vec!["visitor.id", "visitor.agent.…", "account.id", "account.agent.…"],
        }
    }
}

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
