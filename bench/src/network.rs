//! Network namespaces on a bridge of the runner's own, so that a process can be cut off from the others. It takes the right to
//! administer the network.

use anyhow::{Context, Result, bail};
use std::net::Ipv4Addr;
use std::process::Command;

/// A bridge, and the namespaces that were joined to it. All of it goes with this.
#[derive(Debug)]
pub struct Network {
    bridge: String,
    joined: Vec<Joined>,
}

/// A namespace with one interface on the bridge.
#[derive(Debug)]
struct Joined {
    namespace: String,
    outside: String,
}

impl Network {
    /// A bridge with the address [`Network::own`].
    pub fn new() -> Result<Self> {
        let network = Self { bridge: format!("ffb{}", std::process::id()), joined: Vec::new() };
        let bridge = &network.bridge;
        ip(&["link", "add", bridge, "type", "bridge"])
            .context("namespaces need root, or CAP_NET_ADMIN and CAP_SYS_ADMIN")?;
        ip(&["addr", "add", &format!("{}/24", Self::own()), "dev", bridge])?;
        ip(&["link", "set", bridge, "up"])?;
        Ok(network)
    }

    /// The address of processes that are in no namespace.
    pub fn own() -> Ipv4Addr {
        Ipv4Addr::new(10, 231, 77, 1)
    }

    /// Joins one more namespace; its number.
    pub fn join(&mut self) -> Result<usize> {
        let number = self.joined.len();
        let joined = Joined {
            namespace: format!("ff{}n{number}", std::process::id()),
            outside: format!("ffv{}n{number}", std::process::id()),
        };
        let Joined { namespace, outside } = &joined;
        ip(&["netns", "add", namespace])?;
        ip(&["link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", namespace])?;
        ip(&["link", "set", outside, "master", &self.bridge, "up"])?;
        ip(&["-n", namespace, "addr", "add", &format!("{}/24", Self::address(number)), "dev", "eth0"])?;
        ip(&["-n", namespace, "link", "set", "eth0", "up"])?;
        ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        self.joined.push(joined);
        Ok(number)
    }

    /// The address in a namespace.
    pub fn address(number: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 231, 77, 10 + number as u8)
    }

    /// What is put before a command that is to run in it.
    pub fn before(&self, number: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.joined[number].namespace].map(String::from).into()
    }

    /// Cuts it off, or joins it again.
    pub fn cut(&self, number: usize, is_cut: bool) -> Result<()> {
        ip(&["link", "set", &self.joined[number].outside, if is_cut { "down" } else { "up" }])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Best effort on the way out. The interfaces in a namespace go with it, and their other ends with them.
        self.joined.iter().for_each(|joined| drop(ip(&["netns", "del", &joined.namespace])));
        drop(ip(&["link", "del", &self.bridge]));
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("`ip` is missing (Debian: iproute2)")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
