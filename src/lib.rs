//! Fanfare takes in what happens in a product and pushes each event, signed, to the webhooks that asked for it.
//!
//! The modules stand in the order in which an event meets them:
//!
//! 1. [`intake`] judges what comes in over HTTP and serialises each outgoing body once.
//! 2. [`journal`] makes it durable, in order.
//! 3. [`dispatch`] gives each webhook a lane and decides what is sent when; [`filter`], which events a webhook is told of.
//! 4. [`deliver`] makes one HTTP request and says what became of it.
//! 5. [`record`] shows deliveries and attempts; [`store`] keeps what is configured and what is known.
//!
//! [`catalog`] is the slow-changing rest (webhooks, apps, keys, people), [`mail`] tells people, [`oidc`] lets them in, [`seal`] keeps secrets, [`api`] the management API, [`node`] the wiring.
//! `ARCHITECTURE.md` tells the whole story.

pub mod blocking;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod defect;
pub mod http;
pub mod limits;
pub mod node;
pub mod observe;

pub mod model;

pub mod deliver;
pub mod dispatch;
pub mod filter;
pub mod forget;
pub mod health;
pub mod intake;
pub mod journal;
pub mod record;
pub mod replay;
pub mod upkeep;

pub mod api;
pub mod audit;
pub mod catalog;
pub mod inspector;
pub mod mail;
pub mod oidc;
pub mod seal;
pub mod store;
