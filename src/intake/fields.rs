//! Fields of what comes in, each taken from its raw JSON with an error that names it.

use super::canonical::{self, CanonicalError};
use crate::limits;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A field that cannot be taken: where it is, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {fault}")]
pub struct FieldError {
    /// Its place, e.g. `responses[2].pollId`.
    pub path: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not there, or null.
    #[error("is missing")]
    Missing,
    /// Not a string.
    #[error("must be a string")]
    NotText,
    /// A string in which half of a surrogate pair stands alone.
    #[error("holds half of a surrogate pair, which no UTF-8 text can hold")]
    LoneSurrogate,
    /// "".
    #[error("must not be empty")]
    Empty,
    /// Longer than [`limits::ID_BYTES`].
    #[error("is longer than {} bytes", limits::ID_BYTES)]
    TooLong,
    /// Metadata larger than [`limits::METADATA_BYTES`].
    #[error("is larger than {} bytes", limits::METADATA_BYTES)]
    TooLarge,
    /// Not an integer within ±(2^53-1).
    #[error("must be a whole number within ±(2^53-1)")]
    NotInteger,
    /// An integer outside its range.
    #[error("must be from {0} to {1}")]
    OutOfRange(i64, i64),
    /// Not an object.
    #[error("must be an object")]
    NotObject,
    /// Not a list, or something in it is not of the right kind.
    #[error("must be a list")]
    NotList,
    /// Not an id that an agent made up for somebody who is not signed in.
    #[error("must be an anonymous visitor's id (_PENDO_T_…)")]
    NotAnonymous,
    /// Not one of the poll's choices.
    #[error("is none of the poll's choices")]
    NotAChoice,
    /// None of the words that it may be.
    #[error("must be one of {0}")]
    NotOneOf(&'static str),
    /// An object that holds the same key twice, or cannot be read otherwise.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Properties that cannot be passed on.
    #[error("cannot be passed on: {0}")]
    NotCanonical(#[from] CanonicalError),
}

impl FieldError {
    fn new(path: &str, fault: Fault) -> Self {
        Self { path: path.to_owned(), fault }
    }

    /// The same fault, seen from outside: `outer` stands before its place.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.path = format!("{outer}.{}", self.path);
        self
    }
}

/// A field by name, with its raw JSON when it is there and not null.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    name: &'a str,
    raw: Option<&'a RawValue>,
}

impl<'a> Field<'a> {
    /// The field `name`.
    pub fn new(name: &'a str, raw: Option<&'a RawValue>) -> Self {
        Self { name, raw }
    }

    /// This field or, when it is absent, nothing.
    pub fn optional(self) -> Option<Self> {
        self.raw.map(|_| self)
    }

    /// A string of any length, unescaped.
    pub fn text(self) -> Result<Cow<'a, str>, FieldError> {
        let raw = self.string_token()?;
        if !raw.contains('\\') {
            return Ok(Cow::Borrowed(raw));
        }
        let text: Result<String, _> = serde_json::from_str(self.required()?);
        text.map(Cow::Owned).map_err(|_| self.error(Fault::LoneSurrogate))
    }

    /// A string that is not longer than an id may be.
    pub fn id(self) -> Result<Cow<'a, str>, FieldError> {
        let text = self.text()?;
        if text.len() > limits::ID_BYTES { Err(self.error(Fault::TooLong)) } else { Ok(text) }
    }

    /// An id that is not "".
    pub fn full_id(self) -> Result<Cow<'a, str>, FieldError> {
        let text = self.id()?;
        if text.is_empty() { Err(self.error(Fault::Empty)) } else { Ok(text) }
    }

    /// A string as canonical JSON, quotes included: nothing is lost of a text that a browser cut inside an emoji.
    pub fn json_text(self) -> Result<Cow<'a, [u8]>, FieldError> {
        let raw = self.string_token()?;
        if !raw.contains('\\') {
            return Ok(Cow::Borrowed(self.required()?.as_bytes()));
        }
        let mut out = Vec::with_capacity(raw.len() + 2);
        canonical::append_string_token(&mut out, raw);
        Ok(Cow::Owned(out))
    }

    /// A name as canonical JSON: not "", and not longer than an id may be.
    pub fn json_name(self) -> Result<Cow<'a, [u8]>, FieldError> {
        let name = self.json_text()?;
        match name.len() - 2 {
            0 => Err(self.error(Fault::Empty)),
            length if length > limits::ID_BYTES => Err(self.error(Fault::TooLong)),
            _ => Ok(name),
        }
    }

    /// An integer within ±(2^53-1).
    pub fn integer(self) -> Result<i64, FieldError> {
        let token = self.required()?;
        let number = if canonical::is_safe_integer(token) { token.parse().ok() } else { None };
        number.ok_or_else(|| self.error(Fault::NotInteger))
    }

    /// An integer within a range, both ends included.
    pub fn integer_in(self, low: i64, high: i64) -> Result<i64, FieldError> {
        let number = self.integer()?;
        if (low..=high).contains(&number) { Ok(number) } else { Err(self.error(Fault::OutOfRange(low, high))) }
    }

    /// An object in canonical form; `{}` when it is absent.
    pub fn canonical_object(self) -> Result<Vec<u8>, FieldError> {
        let Some(raw) = self.raw else { return Ok(b"{}".to_vec()) };
        self.object()?;
        let mut out = Vec::with_capacity(raw.get().len());
        canonical::append(&mut out, raw.get()).map_err(|error| self.error(error.into()))?;
        Ok(out)
    }

    /// Metadata: an object in canonical form; "" when it is absent or empty.
    pub fn metadata(self) -> Result<String, FieldError> {
        let Some(field) = self.optional() else { return Ok(String::new()) };
        let json = field.canonical_object()?;
        if json.len() > limits::METADATA_BYTES {
            return Err(self.error(Fault::TooLarge));
        }
        // It was text before, and canonical form leaves it text.
        Ok(String::from_utf8(json).ok().filter(|json| json != "{}").unwrap_or_default())
    }

    /// Checks that it is an object.
    pub fn object(self) -> Result<&'a str, FieldError> {
        let raw = self.required()?;
        if raw.starts_with('{') { Ok(raw) } else { Err(self.error(Fault::NotObject)) }
    }

    /// An object whose known keys are the fields of `T`.
    pub fn fields<T: Deserialize<'a>>(self) -> Result<T, FieldError> {
        serde_json::from_str(self.object()?).map_err(|error| self.error(Fault::Unreadable(error.to_string())))
    }

    /// A list of raw values.
    pub fn list(self) -> Result<Vec<&'a RawValue>, FieldError> {
        let raw = self.required()?;
        serde_json::from_str(raw).map_err(|_| self.error(Fault::NotList))
    }

    /// One of the words that `T` knows; `words` lists them for the error.
    pub fn one_of<T: DeserializeOwned>(self, words: &'static str) -> Result<T, FieldError> {
        let raw = self.required()?;
        serde_json::from_str(raw).map_err(|_| self.error(Fault::NotOneOf(words)))
    }

    /// This fault, at this field.
    pub fn error(self, fault: Fault) -> FieldError {
        FieldError::new(self.name, fault)
    }

    fn required(self) -> Result<&'a str, FieldError> {
        self.raw.map(RawValue::get).ok_or_else(|| self.error(Fault::Missing))
    }

    fn string_token(self) -> Result<&'a str, FieldError> {
        let raw = self.required()?;
        let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.ok_or_else(|| self.error(Fault::NotText))
    }
}
