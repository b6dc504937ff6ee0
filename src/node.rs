//! Wiring: open what is kept, start the stages, stop them in reverse order.

use crate::config::Settings;
use serde::Serialize;
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

/// What a new installation's operator needs, shown once. The key order is that of `fanfare init --json`.
#[derive(Clone, Serialize)]
pub struct Initialised {
    /// 16 digits.
    pub subscription_id: u64,
    /// The first app.
    pub app_id: i64,
    /// The agent's key, which is public.
    pub agent_key: String,
    /// The app's track secret.
    pub track_secret: String,
    /// An integration key with the role admin.
    pub integration_key: String,
    /// Where to go on in a browser.
    pub setup_url: String,
}

/// A node that listens.
pub struct Started {
    /// The address bound: with the port that the system chose, where the setting said 0.
    pub address: SocketAddr,
    /// What was made, when the data directory was empty.
    pub initialised: Option<Initialised>,
}

/// Runs a node until `stop` is cancelled, then finishes or parks what is in flight. `started` is called once requests
/// are served.
///
/// # Errors
/// What prevents the node from starting.
pub async fn serve(
    settings: Settings,
    stop: CancellationToken,
    started: impl FnOnce(&Started) + Send,
) -> anyhow::Result<()> {
    let _ = (settings, stop, started);
    anyhow::bail!("the node is not wired yet")
}

/// Prepares an empty data directory.
///
/// # Errors
/// It is not empty, or cannot be written.
pub async fn init(settings: Settings) -> anyhow::Result<Initialised> {
    let _ = settings;
    anyhow::bail!("the node is not wired yet")
}
