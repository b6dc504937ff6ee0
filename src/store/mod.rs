//! What is configured and what is known, in SQLite or in PostgreSQL.

pub mod configured;
mod copy;
pub mod db;
mod error;
mod hold;
mod migrate;
mod place;
pub mod projection;
mod shared;
pub mod sqlite;

pub use copy::copy;
pub use error::StoreError;
pub use hold::{Again, Candidate, Hold, Turn};
pub use migrate::{Migration, migrate};
pub use place::{Part, Place};
pub use shared::Shared;
