//! Deliveries, attempts and events as the API shows them.

pub mod view;
