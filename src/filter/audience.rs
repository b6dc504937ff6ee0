//! To whom a guide is shown.

use super::evaluate::Evaluation;
use super::facts::Subject;
use super::names::Vocabulary;
use super::node::Node;
use super::{Failure, Mistake, rule};
use crate::limits;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::sync::Arc;

/// A rule about visitors and accounts, ready to be asked. A copy is cheap.
#[derive(Debug, Clone)]
pub struct Audience {
    text: Arc<str>,
    /// What it could not be understood for, where it was saved by a version that knew more.
    rule: Arc<Result<Node, Mistake>>,
}

impl Audience {
    /// Reads and checks a rule.
    ///
    /// # Errors
    /// The first thing in it that is wrong, where it is, and what would be right.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        Ok(Self { text: text.into(), rule: Arc::new(Ok(rule(Vocabulary::People, text)?)) })
    }

    /// A rule that was checked when it was saved. One that this version does not understand holds for nobody.
    pub fn saved(text: &str) -> Self {
        Self { text: text.into(), rule: Arc::new(rule(Vocabulary::People, text)) }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds for these: an object with `visitor` and `account`, each with its `id` and an object for each group of
    /// metadata.
    ///
    /// # Errors
    /// [`Failure`] when there is no answer; it does not hold then.
    pub fn holds(&self, people: &Value) -> Result<bool, Failure> {
        match &*self.rule {
            Ok(rule) => Evaluation::new(Subject::People(people), limits::FILTER_STEPS).answer(rule),
            Err(mistake) => Err(Failure::NotUnderstood(mistake.clone())),
        }
    }
}

impl PartialEq for Audience {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Audience {}

/// As its text.
impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::saved(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_asks_about_ids_and_metadata() {
        let people = json!({
            "visitor": {"id": "ada@acme.com", "agent": {"role": "admin", "age": 36, "tags": ["beta"]}, "custom": {}},
            "account": {"id": "acme", "agent": {"plan": "pro"}},
        });
        for (rule, holds) in [
            ("visitor.id.endsWith('@acme.com') && account.id == 'acme'", Some(true)),
            ("visitor.agent.role == 'admin' && account.agent.plan in ['pro', 'max']", Some(true)),
            ("visitor.agent.age < 30", Some(false)),
            ("visitor.agent.tags.exists(tag, tag == 'beta')", Some(true)),
            ("has(visitor.custom.team) && visitor.custom.team == 'core'", Some(false)),
            ("visitor.custom.team == 'core'", None),
            ("visitor.crm.team == 'core'", None),
        ] {
            assert_eq!(Audience::parse(rule).unwrap().holds(&people).ok(), holds, "{rule}");
        }
    }

    #[test]
    fn what_it_cannot_mean_is_said_with_its_place() {
        for (rule, mistake) in [
            ("visitorId == 'a'", "line 1, column 1: unknown name visitorId; did you mean visitor.id?"),
            ("visitor.role == 'a'", "line 1, column 14: == compares an object with a text, which are never equal"),
            ("visitor.id", "line 1, column 1: the rule as a whole must be true or false, not a text"),
            ("properties.a == 1", "line 1, column 1: unknown name properties; it must be one of visitor.id,"),
            ("", "line 1, column 1: the rule is empty; null is no rule"),
        ] {
            let found = Audience::parse(rule).unwrap_err().to_string();
            assert!(found.starts_with(mistake), "{rule}\n  said {found}\n  not  {mistake}");
        }
        let failure = Audience::saved("later()").holds(&json!({})).unwrap_err();
        assert!(failure.to_string().starts_with("this version does not understand the rule"), "{failure}");
    }
}
