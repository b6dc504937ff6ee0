//! Visitors and accounts.

use super::EventSummary;
use crate::model::UnixMs;

/// A visitor or an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonDetail {
    /// Known since.
    pub known_at: UnixMs,
    /// First seen in-app; `None`: not yet.
    pub first_visit: Option<UnixMs>,
    /// Last seen in-app, to the minute.
    pub last_visit: Option<UnixMs>,
    /// A visitor's last browser and its version.
    pub browser: Option<(String, String)>,
    /// A visitor's last account; "" for none.
    pub account_id: Option<String>,
    /// Groups of metadata by name, each a JSON object.
    pub metadata: Vec<(String, String)>,
    /// An account's first sub-accounts, in the order of their ids.
    pub sub_accounts: Vec<String>,
    /// The ids under which a visitor was here before they had a name, as far as the journal still tells of them.
    pub anonymous_ids: Vec<String>,
    /// The newest events, newest first.
    pub events: Vec<EventSummary>,
}

/// A visitor or an account in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSummary {
    /// The id.
    pub id: String,
    /// Known since.
    pub known_at: UnixMs,
    /// First seen in-app; `None`: not yet.
    pub first_visit: Option<UnixMs>,
    /// Last seen in-app, to the minute.
    pub last_visit: Option<UnixMs>,
    /// A visitor's last account; "" for none.
    pub account_id: Option<String>,
}

/// A group of somebody's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownGroup {
    /// Its values as a JSON object; "" when it has none.
    pub fields: String,
    /// How many groups the person has, this one included if it has values.
    pub groups: usize,
}
