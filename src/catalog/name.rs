//! Names that people give to what is configured.

use super::InvalidValue;
use crate::limits::WEBHOOK_NAME_CHARS;

/// Whether a name can be taken.
pub(super) fn check_name(name: &str) -> Result<(), InvalidValue> {
    if name.trim().is_empty() {
        return Err(InvalidValue::new("name", "must not be empty"));
    }
    if name.chars().count() > WEBHOOK_NAME_CHARS {
        return Err(InvalidValue::new("name", format!("must not be longer than {WEBHOOK_NAME_CHARS} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err(InvalidValue::new("name", "must not hold line breaks or other control characters"));
    }
    Ok(())
}
