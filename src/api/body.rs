//! Bodies of calls: JSON objects whose fields are taken out one by one, so that each error names its field.

use super::Api;
use super::problem::ApiError;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A body's fields that nobody has taken yet. A call without a body has none.
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// The fields of a body, which is nothing or a JSON object.
    ///
    /// # Errors
    /// It is something else.
    pub fn of(body: &[u8]) -> Result<Self, ApiError> {
        if body.is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(other) => Err(ApiError::Unreadable(format!("it must be a JSON object, not {}", type_name(&other)))),
            Err(error) => Err(ApiError::Unreadable(syntax(&error))),
        }
    }

    /// The fields of an object inside a body.
    fn within(place: &str, value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            other => Err(ApiError::field(place, format!("must be an object, not {}", type_name(&other)))),
        }
    }

    /// Takes a field, if it is there.
    ///
    /// # Errors
    /// Its value has another type. The error does not repeat the value.
    pub fn take<T: DeserializeOwned>(&mut self, field: &str, expected: &str) -> Result<Option<T>, ApiError> {
        let Some(value) = self.0.remove(field) else { return Ok(None) };
        let found = type_name(&value);
        let wrong = |_| ApiError::field(field, format!("must be {expected}, not {found}"));
        serde_json::from_value(value).map(Some).map_err(wrong)
    }

    /// Takes a field that must be there.
    ///
    /// # Errors
    /// It is missing, or has another type.
    pub fn require<T: DeserializeOwned>(&mut self, field: &str, expected: &str) -> Result<T, ApiError> {
        self.take(field, expected)?.ok_or_else(|| ApiError::field(field, "is required"))
    }

    /// Takes a field as it is, if it is there.
    pub fn take_any(&mut self, field: &str) -> Option<Value> {
        self.0.remove(field)
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// Names a field that is left.
    pub fn finish(self) -> Result<(), ApiError> {
        self.0.keys().next().map_or(Ok(()), |field| Err(ApiError::field(field, "is not a field of this call")))
    }
}

/// Reads an object inside a body; an error names the whole way to its field.
///
/// # Errors
/// It is no object, `read` fails, or a field is left.
pub fn inside<T>(
    place: &str,
    value: Value,
    read: impl FnOnce(&mut Fields) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let mut fields = Fields::within(place, value)?;
    let result = read(&mut fields).and_then(|found| fields.finish().map(|()| found));
    result.map_err(|error| match error {
        ApiError::Field { field, problem } => ApiError::field(format!("{place}.{field}"), problem),
        other => other,
    })
}

impl FromRequest<Arc<Api>> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        let json = states_json(request.headers());
        let body = read(request, api.parts.settings.body_bytes).await?;
        if !json && !body.is_empty() {
            return Err(ApiError::ContentType);
        }
        Self::of(&body)
    }
}

/// The whole body.
///
/// # Errors
/// It is too large, or was broken off.
pub(super) async fn read(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let collected = Limited::new(request.into_body(), limit).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            ApiError::TooLarge(limit)
        } else {
            ApiError::Unreadable(String::from("it ended too early"))
        }
    })
}

/// Whether a request calls its body JSON.
pub(super) fn states_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| is_json(value.as_bytes()))
}

fn is_json(value: &[u8]) -> bool {
    let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    media_type.eq_ignore_ascii_case(b"application/json")
        || (media_type.starts_with(b"application/") && media_type.ends_with(b"+json"))
}

/// Where the JSON broke. The parser's own text could repeat a part of the body, and with it a secret.
pub(super) fn syntax(error: &serde_json::Error) -> String {
    format!("it is not valid JSON at line {} column {}", error.line(), error.column())
}

/// A JSON type, for people.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "another number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
