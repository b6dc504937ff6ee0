//! The management API.

pub mod console;
