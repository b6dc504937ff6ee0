//! Which events a webhook is told of: its categories, whether it asked for administrative changes, and its filter
//! (docs/filters.md). Pure: a [`Filter`] is made of its text once, and looks at the [`Facts`] of an event. An [`Audience`] is
//! the same for guides: it looks at a visitor and their account.
//!
//! The language is CEL, and the `cel` crate reads it. What it means is decided here, because a filter of one customer
//! stands in the way of everybody's events: names and types are checked when it is saved, and looking at an event takes
//! a bounded number of steps, copies nothing and ends in an answer or an error, whatever the event holds. The tests hold
//! every answer against the crate's own interpreter.

mod audience;
mod check;
mod evaluate;
mod facts;
mod interest;
mod mistake;
mod names;
mod node;
#[cfg(test)]
mod tests;
mod value;

pub use audience::Audience;
pub use facts::Facts;
pub use interest::{Interest, Judgement};
pub use mistake::{Failure, Mistake, Place};

use self::check::Checker;
use self::evaluate::Evaluation;
use self::facts::Subject;
use self::names::Vocabulary;
use self::node::Node;
use crate::limits;

/// A filter, ready to be asked.
#[derive(Debug)]
pub struct Filter {
    text: String,
    /// What it could not be understood for, where it was saved by a version that knew more.
    rule: Result<Node, Mistake>,
}

impl Filter {
    /// Reads and checks a filter.
    ///
    /// # Errors
    /// The first thing in it that is wrong, where it is, and what would be right.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        Ok(Self { text: text.to_owned(), rule: Ok(rule(Vocabulary::Event, text)?) })
    }

    /// A filter that was checked when it was saved. One that this version does not understand lets nothing pass, and
    /// says why.
    pub fn saved(text: &str) -> Self {
        Self { text: text.to_owned(), rule: rule(Vocabulary::Event, text) }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the event passes.
    ///
    /// # Errors
    /// [`Failure`] when there is no answer; the event does not pass then. Where the reason is that the event lacks a
    /// field, that is no fault of the filter's: [`Failure::is_missing`].
    pub fn passes(&self, facts: &Facts<'_>) -> Result<bool, Failure> {
        match &self.rule {
            Ok(rule) => Evaluation::new(Subject::Event(facts), limits::FILTER_STEPS).answer(rule),
            Err(mistake) => Err(Failure::NotUnderstood(mistake.clone())),
        }
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// A rule over these names.
fn rule(vocabulary: Vocabulary, text: &str) -> Result<Node, Mistake> {
    if text.len() > limits::FILTER_BYTES {
        let problem = format!("the {} is longer than {} bytes", vocabulary.noun(), limits::FILTER_BYTES);
        return Err(Mistake::new(Place::START, problem));
    }
    // Without macros: what the crate would make of `exists` and its like is a loop without bounds.
    let parser = cel::Env::default().parser().max_recursion_depth(limits::FILTER_DEPTH as u16);
    let (expression, source) =
        parser.parse_with_source_info(text).map_err(|errors| mistake::of_syntax(vocabulary.noun(), text, &errors))?;
    Checker::new(vocabulary, text, &source).rule(&expression)
}
