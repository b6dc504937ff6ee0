//! What is wrong with a filter, and where; and why one has no answer for an event.

use std::fmt;
use std::sync::Arc;

/// A place in a filter's text, both numbers from 1 and in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which line.
    pub line: u32,
    /// Which character of it.
    pub column: u32,
}

impl Place {
    /// Where every filter begins.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place of this byte.
    pub(super) fn of(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Self { line: line as u32, column: column as u32 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a filter cannot be saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Mistake {
    pub(super) fn new(place: Place, problem: impl Into<String>) -> Self {
        Self { place, problem: problem.into() }
    }
}

/// Why a filter has no answer for an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The event lacks a field, or a list an element.
    #[error("the event has no {0}")]
    Missing(Arc<str>),
    /// A value is of another kind than what is done with it needs.
    #[error("{place}: {needs} is needed here, and the event has {found}")]
    Kind {
        /// Where.
        place: Place,
        /// What would do.
        needs: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// Two values of which neither is the greater.
    #[error("{place}: {left} and {right} have no order")]
    Unordered {
        /// Where.
        place: Place,
        /// What stands left.
        left: &'static str,
        /// What stands right.
        right: &'static str,
    },
    /// A number that cannot be: too large, divided by zero, or not in the text.
    #[error("{0}: the event's value gives no number here")]
    Number(Place),
    /// It took too many steps.
    #[error("looking at the event takes more than {0} steps: its lists or texts are too long for this filter")]
    TooMuch(u32),
    /// The event's body cannot be read.
    #[error("the event's body is nested too deeply to be looked at")]
    Unreadable,
    /// The filter was saved by a version that knew more.
    #[error("this version does not understand the rule: {0}")]
    NotUnderstood(Mistake),
}

impl Failure {
    /// Whether it says only that the event lacks what the filter asks about.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing(_))
    }
}

/// The first thing that cannot be read, in words for people.
pub(super) fn of_syntax(noun: &str, text: &str, errors: &cel::ParseErrors) -> Mistake {
    let Some(error) = errors.errors.first() else { return Mistake::new(Place::START, "this is no CEL expression") };
    let natural = |number: isize| u32::try_from(number).unwrap_or(1).max(1);
    let place = Place { line: natural(error.pos.0), column: natural(error.pos.1) };
    let message = error.msg.strip_prefix("Syntax error: ").unwrap_or(&error.msg);
    let quoted = || message.split_once('\'').and_then(|(_, rest)| rest.rsplit_once('\'')).map(|(inner, _)| inner);
    let token = || quoted().map(|inner| inner.split("' expecting").next().unwrap_or(inner)).unwrap_or_default();
    let problem = if text.trim().is_empty() {
        format!("the {noun} is empty; null is no {noun}")
    } else if message.contains("Recursion limit") {
        String::from("this is nested too deeply")
    } else if message.contains("<EOF>' expecting") {
        format!("the {noun} ends here, but something must follow")
    } else if message.starts_with("token recognition error") && token().starts_with('=') {
        String::from("a single = means nothing; to compare, write ==")
    } else if message.starts_with("token recognition error") && token().starts_with(['\'', '"']) {
        String::from("this text has no end; close it with the same quote")
    } else if message.starts_with("token recognition error") {
        format!("{:?} means nothing here", token())
    } else if ["extraneous input", "mismatched input", "no viable alternative"].iter().any(|m| message.starts_with(m)) {
        format!("{:?} cannot stand here", token())
    } else {
        message.chars().take(200).collect()
    };
    Mistake::new(place, problem)
}
