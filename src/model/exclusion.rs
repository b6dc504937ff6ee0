//! Rules about whose events are kept but pushed to nobody.

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExclusionKind {
    /// The visitor's id.
    Visitor,
    /// The account's id.
    Account,
    /// The address that the event comes from.
    Ip,
    /// The host of the page.
    Host,
}

impl ExclusionKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Visitor, Self::Account, Self::Ip, Self::Host];

    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Account => "account",
            Self::Ip => "ip",
            Self::Host => "host",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
