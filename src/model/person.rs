//! Visitors and accounts: which ids name somebody, and which of the two is meant.

/// A visitor or an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum PersonKind {
    /// Somebody who uses the product.
    Visitor,
    /// The customer for whom visitors use it.
    Account,
}

impl PersonKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Visitor, Self::Account];

    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Account => "account",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether an id of this kind names somebody: not an anonymous visitor, and none of the words that stand for
    /// "nobody" in snippets that were pasted without change (docs/intake.md).
    pub fn is_somebody(self, id: &str) -> bool {
        let word = match self {
            Self::Visitor => "VISITOR-UNIQUE-ID",
            Self::Account => "ACCOUNT-UNIQUE-ID",
        };
        !matches!(id.trim(), "" | "null" | "undefined") && id != word && !(self == Self::Visitor && is_anonymous(id))
    }
}

/// Whether a visitor's id is one that the agent made up for somebody who is not signed in.
pub fn is_anonymous(visitor_id: &str) -> bool {
    visitor_id.starts_with("_PENDO_T_")
}

/// The parent of an account whose id is `parent::child`.
pub fn parent_account(account_id: &str) -> Option<&str> {
    account_id.rsplit_once("::").map(|(parent, _)| parent).filter(|parent| !parent.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_not_somebody() {
        let is_visitor = |id| PersonKind::Visitor.is_somebody(id);
        let is_account = |id| PersonKind::Account.is_somebody(id);
        for id in ["", " \t", "null", "undefined", "VISITOR-UNIQUE-ID", "_PENDO_T_abc"] {
            assert!(!is_visitor(id), "{id:?}");
        }
        for id in ["v", "NULL", "0", "x_PENDO_T_", "visitor-unique-id"] {
            assert!(is_visitor(id), "{id:?}");
        }
        assert!(is_account("parent::child") && !is_account("ACCOUNT-UNIQUE-ID") && !is_account(""));
    }

    #[test]
    fn a_child_account_names_its_parent() {
        for (id, parent) in
            [("acme::east", Some("acme")), ("a::b::c", Some("a::b")), ("acme", None), ("::east", None), ("a:b", None)]
        {
            assert_eq!(parent_account(id), parent, "{id}");
        }
    }
}
