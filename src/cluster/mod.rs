//! Several nodes on the same servers. One is active: it takes events, keeps the journal and decides what is sent when. The
//! others make a part of the requests for it (`assist`), pass on what they are asked (`forward`), and one of them goes on
//! when it ends.
//!
//! So there is one order of everything, and no agreement to be found about anything: that the active node is the only one
//! is the journal's to see to. What another node was given and did not bring back is given to somebody else.

mod assist;
mod entrance;
mod forward;
mod link;
mod peers;
mod role;

pub use assist::{Assistant, ReachesJournal};
pub use entrance::{Entered, Entrance, enter};
pub use forward::Forwarder;
pub use peers::{Peer, Peers};
pub use role::{Active, Role, Serving, router};

#[cfg(test)]
mod tests;

use http::HeaderName;

/// Where a node comes in at the active one.
const LINK_PATH: &str = "/cluster/link";

/// On a request that a node passes on: its word for whom it came from.
const CLIENT: HeaderName = HeaderName::from_static("fanfare-client");
