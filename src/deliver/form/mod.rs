//! What a body is turned into before it is sent (docs/formats.md): Segment's message, one for a chat, or what a template
//! makes of it. A body that is sent as it is has no form, and costs nothing here.

mod chat;
mod segment;
mod template;
mod words;

use crate::model::{Format, Preset};
use bytes::Bytes;
use std::fmt;
use template::Template;

/// The `Content-Type` of all that is no template.
const JSON: &str = "application/json";

/// A form of bodies, made ready once when its webhook changes.
#[derive(Debug)]
pub struct Form {
    /// What was asked for; nothing for Segment, which has one form only.
    asked: Option<Format>,
    maker: Maker,
}

#[derive(Debug)]
enum Maker {
    Segment,
    Preset(Preset),
    /// A template that cannot be used fails each body, with its reason: one that an older release has taken must not keep a
    /// newer one from starting.
    Template(Result<Box<Template>, FormError>),
}

/// Why a body has no such form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormError {
    /// The template's line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong, for the person who wrote the template.
    pub problem: String,
}

impl Form {
    /// Segment's message.
    pub fn segment() -> Self {
        Self { asked: None, maker: Maker::Segment }
    }

    /// The form that a person has asked for. Look at [`Form::problem`] before it is kept.
    pub fn new(format: &Format) -> Self {
        let maker = match format {
            Format::Preset(preset) => Maker::Preset(*preset),
            Format::Template { text, content_type } => Maker::Template(Template::new(text, content_type).map(Box::new)),
        };
        Self { asked: Some(format.clone()), maker }
    }

    /// Why no body can be given this form.
    pub fn problem(&self) -> Option<&FormError> {
        match &self.maker {
            Maker::Template(Err(error)) => Some(error),
            _ => None,
        }
    }

    /// The `Content-Type` of what it makes.
    pub fn content_type(&self) -> &str {
        match &self.asked {
            Some(Format::Template { content_type, .. }) => content_type,
            Some(Format::Preset(_)) | None => JSON,
        }
    }

    /// Gives a body this form.
    ///
    /// # Errors
    /// [`FormError`]: the receiver does not take so much, or the template cannot be applied to this event.
    pub fn shape(&self, body: &[u8]) -> Result<Bytes, FormError> {
        match &self.maker {
            Maker::Segment => segment::message(body),
            Maker::Preset(preset) => chat::message(*preset, body),
            Maker::Template(Ok(template)) => template.apply(body),
            Maker::Template(Err(error)) => Err(error.clone()),
        }
        .map(Bytes::from)
    }
}

/// Two forms are the same when they were asked for in the same words.
impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        self.asked == other.asked
    }
}

impl Eq for Form {}

impl FormError {
    fn new(problem: impl Into<String>) -> Self {
        Self { line: None, problem: problem.into() }
    }

    /// Bodies are written by intake: one that cannot be read is damaged.
    fn unreadable(error: &serde_json::Error) -> Self {
        Self::new(format!("the event's body cannot be read: {error}"))
    }
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

impl std::error::Error for FormError {}
