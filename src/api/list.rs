//! Lists: how they are asked for in pages, and what a query may say.

use super::problem::ApiError;
use crate::limits::{PAGE_DEFAULT, PAGE_MAX};
use crate::model::{DeliveryState, EventKind, GuideState, UnixMs};
use crate::record::view::{ErrorStatus, WithheldAs};
use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// A query string as `T`, its errors as problems.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|rejection| ApiError::Query(rejection.body_text()))
    }
}

/// How many rows.
///
/// # Errors
/// Outside 1 to [`PAGE_MAX`].
pub fn limit(asked: Option<usize>) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(PAGE_DEFAULT);
    if (1..=PAGE_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(ApiError::Query(format!("limit: must be from 1 to {PAGE_MAX}")))
    }
}

/// A point in time.
///
/// # Errors
/// Not RFC 3339.
pub fn time(name: &str, asked: Option<&str>) -> Result<Option<UnixMs>, ApiError> {
    let wrong = || ApiError::Query(format!("{name}: must be a time as in RFC 3339, like 2026-01-31T12:00:00Z"));
    // A "+02:00" that was not percent-encoded arrives with a blank; nothing else in RFC 3339 can be meant by it.
    asked.map(|text| parse_time(&text.replace(' ', "+")).ok_or_else(wrong)).transpose()
}

/// A point in time of a body's field.
///
/// # Errors
/// Not RFC 3339; the error names the field.
pub fn time_field(field: &str, asked: Option<&str>) -> Result<Option<UnixMs>, ApiError> {
    let wrong = || ApiError::field(field, "must be a time as in RFC 3339, like 2027-01-31T12:00:00Z");
    asked.map(|text| parse_time(text).ok_or_else(wrong)).transpose()
}

/// A time as RFC 3339 writes it.
fn parse_time(text: &str) -> Option<UnixMs> {
    text.parse::<jiff::Timestamp>().ok().map(|time| UnixMs(time.as_millisecond()))
}

/// An event's name.
///
/// # Errors
/// None of the eight; the error lists them.
pub fn event(asked: Option<&str>) -> Result<Option<EventKind>, ApiError> {
    let find =
        |name: &str| EventKind::from_name(name).ok_or_else(|| one_of("event", EventKind::ALL.map(EventKind::name)));
    asked.map(find).transpose()
}

/// A delivery's state.
///
/// # Errors
/// None of them; the error lists them.
pub fn status(asked: Option<&str>) -> Result<Option<DeliveryState>, ApiError> {
    let names = || one_of("status", DeliveryState::ALL.map(DeliveryState::name));
    asked.map(|name| DeliveryState::from_name(name).ok_or_else(names)).transpose()
}

/// Whether and why events were pushed to nobody.
///
/// # Errors
/// None of the ways; the error lists them.
pub fn withheld(asked: Option<&str>) -> Result<Option<WithheldAs>, ApiError> {
    let names = || one_of("withheld", WithheldAs::ALL.map(WithheldAs::name));
    asked.map(|name| WithheldAs::from_name(name).ok_or_else(names)).transpose()
}

/// How a failed attempt ended, or what else is in the error log.
///
/// # Errors
/// None of the words, nor a status.
pub fn error_status(asked: Option<&str>) -> Result<Option<ErrorStatus>, ApiError> {
    let wrong =
        || ApiError::Query(String::from("status: must be failed, retrying, turned_off, warned, or a status like 503"));
    let read = |text: &str| match text {
        "failed" => Ok(ErrorStatus::Failed),
        "retrying" => Ok(ErrorStatus::Retrying),
        "turned_off" => Ok(ErrorStatus::TurnedOff),
        "warned" => Ok(ErrorStatus::Warned),
        digits => digits
            .parse()
            .ok()
            .filter(|status| (100..=999).contains(status))
            .map(ErrorStatus::Answered)
            .ok_or_else(wrong),
    };
    asked.map(read).transpose()
}

/// A guide's state.
///
/// # Errors
/// None of them; the error lists them.
pub fn guide_state(asked: Option<&str>) -> Result<Option<GuideState>, ApiError> {
    let names = || one_of("state", GuideState::ALL.map(GuideState::name));
    asked.map(|name| GuideState::from_name(name).ok_or_else(names)).transpose()
}

fn one_of<const N: usize>(name: &str, names: [&str; N]) -> ApiError {
    ApiError::Query(format!("{name}: must be one of {}", names.join(", ")))
}
