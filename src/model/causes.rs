//! Errors in one line, where a person reads them.

use std::error::Error;

/// An error and what caused it: "a: b: c".
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
