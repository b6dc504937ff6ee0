//! What is configured and what is known, in SQLite.

pub mod configured;
pub mod projection;
pub mod sqlite;
