//! The whole program from the outside: the real binary, real sockets, real kills. One file per stage; `support` holds
//! the node, the receivers and the events.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![expect(clippy::print_stderr, reason = "a failed test shows the end of the node's log")]

mod support;

mod agent;
mod api;
mod attacks;
mod audit;
mod backup;
mod cluster;
mod console;
mod crash;
mod credentials;
mod delivery;
mod engine;
mod exclusions;
mod explain;
mod fairness;
mod figures;
mod filter;
mod formats;
mod fortnight;
mod guides;
mod health;
mod identity;
mod inspector;
mod intake;
mod live;
mod mails;
mod master_key;
mod metrics;
mod openapi;
mod operator;
mod ordered;
mod pace;
mod people;
mod privacy;
mod promises;
mod provider;
mod rebinding;
mod receivers;
mod replays;
mod retention;
mod secrets;
mod segment;
mod showing;
mod stop;
mod switch;
mod tidy;
mod visitors;
