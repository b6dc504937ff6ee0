//! One lane per webhook that is on: what is sent, when, and what follows from how it went.
//!
//! [`Dispatcher`] follows the journal and hands each event to the lanes that want it ([`matching`]). A [`lane`] is a
//! pure state machine; the [`scheduler`] is the loop around all of them, the [`worker`] a connection that makes a
//! lane's attempts, [`backlog`] what reads the journal for a lane that is behind. [`retry`] decides what follows from an
//! attempt, [`budget`] who may have how much in flight, and how often receivers in trouble are asked. [`restart`] rebuilds the lanes from what was kept, [`carry`] keeps
//! what retries need from leaving the journal, [`figures`] is what metrics show.

pub mod backlog;
pub mod bucket;
pub mod budget;
pub mod carry;
pub mod cell;
pub mod figures;
pub mod follow;
pub mod job;
pub mod lane;
pub mod matching;
pub mod restart;
pub mod retry;
pub mod scheduler;
pub mod timer;
pub mod worker;

pub use figures::Load;
pub use follow::Dispatcher;
pub use job::Waiting;
pub use restart::{KnownReceiver, Restart};
pub use scheduler::{Parts, Scheduler};
