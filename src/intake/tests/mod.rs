//! Tests of the whole intake, from an HTTP request to the journal's entries.

mod bytes;
mod guides;
mod http;
mod items;
mod once;
mod rating;
mod support;
mod visits;
