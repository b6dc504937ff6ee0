//! Mail to people: written from templates, queued in the store together with what caused it, sent by a loop of its own.
//!
//! A mail is a row before anybody tries to send it, so a crash neither loses nor invents one. Sending can repeat one
//! when the crash falls between the server's answer and the row; both copies then have the same Message-ID.

mod letters;
mod queue;
mod sender;
mod smtp;

pub use letters::{Letter, Letters, Occasion};
pub use queue::{MailStats, Outgoing, Queue};
pub use sender::{Carrier, Refusal, run};
pub use smtp::Smtp;

/// A mail as it is queued.
pub use crate::store::configured::MailRow;
