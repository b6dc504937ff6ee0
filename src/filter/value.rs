//! Values while a filter looks at an event: borrowed from the event or from the filter.

use serde_json::{Map, Value};
use std::cmp::Ordering;

/// A value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Val<'e> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'e str),
    List(&'e [Value]),
    Object(&'e Map<String, Value>),
}

impl<'e> Val<'e> {
    /// A value of the event. A whole number that is too large for CEL's becomes the nearest of its other numbers.
    pub(super) fn of(value: &'e Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(is) => Self::Bool(*is),
            Value::Number(number) => {
                number.as_i64().map_or_else(|| Self::Double(number.as_f64().unwrap_or(f64::NAN)), Self::Int)
            }
            Value::String(text) => Self::Text(text),
            Value::Array(list) => Self::List(list),
            Value::Object(object) => Self::Object(object),
        }
    }

    /// What it is, for people.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Double(_) => "a number with a fraction",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Which of two numbers, texts or truths is greater; `None` where that means nothing.
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Double(b)) => order_mixed(a, b),
            (Self::Double(a), Self::Int(b)) => order_mixed(b, a).map(Ordering::reverse),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(&b)),
            _ => None,
        }
    }
}

/// Compares without making either of them the other's kind, which would round it.
fn order_mixed(whole: i64, other: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if other.is_nan() {
        None
    } else if other >= LIMIT {
        Some(Ordering::Less)
    } else if other < -LIMIT {
        Some(Ordering::Greater)
    } else {
        let floor = other.trunc();
        Some(whole.cmp(&(floor as i64)).then_with(|| floor.total_cmp(&other)))
    }
}
