//! How fast a lane may go: what its webhook allows.

/// What a webhook allows now. The default allows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Requests in flight at most.
    pub concurrency: usize,
    /// Requests a second at most; as many as the receiver takes without one.
    pub rate_per_s: Option<u32>,
    /// Whether each visitor's events arrive in order.
    pub ordered: bool,
}
