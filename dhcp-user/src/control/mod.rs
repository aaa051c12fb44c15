//! The control socket: what `dhcp-user leases` and `dhcp-user stats` ask a running daemon. Owns the messages;
//! one JSON line each way over a UNIX stream socket in the state directory. Must not know where the numbers
//! come from: the event loop answers a [`Call`].

mod client;
mod server;
mod text;

pub use client::{leases, stats};
pub use server::{Answer, Call, Server};
pub use text::{lease_table, stats_text};

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

/// A question to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "lowercase")]
pub enum Request {
    /// All leases.
    Leases,
    /// All counters.
    Stats,
}

/// What the daemon sends back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    Leases(Vec<LeaseView>),
    Stats(StatsView),
    Error(String),
}

/// A lease, for people and scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// The address.
    pub address: Ipv4Addr,
    /// The client's identity in hexadecimal: option 61 with its type octet, or `chaddr` where none came.
    pub client_id: String,
    /// Its hardware address.
    pub mac: Option<String>,
    /// Option 12 as it came: a client's own words.
    pub host_name: Option<String>,
    /// What the address is to the client.
    pub state: LeaseState,
    /// Seconds left, 0 where the end has passed; null for an infinite lease.
    pub expires_in: Option<u64>,
    /// The end in seconds since 1970; null for an infinite lease.
    pub expires_at: Option<u64>,
    /// Who gave the lease its present end, where it has one.
    pub renewed_by: Option<RenewedBy>,
}

/// What an address is to the client in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    /// Offered, not yet requested.
    Offered,
    /// Leased.
    Bound,
    /// No longer leased; free once the kernel is sure to have stopped answering for it.
    Closing,
    /// Found in use by somebody else: nobody gets it for a while.
    Quarantined,
    /// Free, and kept for its last client as long as there are others.
    Free,
}

/// Who answered last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RenewedBy {
    /// The fast path.
    Kernel,
    /// The slow path.
    Daemon,
}

/// Names with their counts, in the names' order.
pub type Counts = BTreeMap<String, u64>;

/// The daemon's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatsView {
    /// The interface served.
    pub interface: String,
    /// How XDP runs there: `native` or `generic`.
    pub mode: String,
    /// Seconds since the daemon's start.
    pub uptime: u64,
    /// How many addresses there are (`total`) and in what state.
    pub addresses: Counts,
    /// Packets by the reason of the fast path's verdict.
    pub fast_path: Counts,
    /// Packets by message, then by outcome.
    pub slow_path: BTreeMap<String, Counts>,
    /// Packets received, dropped and refused by the daemon's sockets.
    pub sockets: Counts,
    /// What the store did.
    pub store: Counts,
}

/// The control socket does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody answers.
    #[error(
        "no daemon is running on {}; start one with `dhcp-user serve`, or name the state directory of the running \
         one with --state", dir.display()
    )]
    NoDaemon {
        /// The state directory.
        dir: PathBuf,
    },
    /// The socket is not ours to use.
    #[error("{} may not be used by this user; run as the user of the daemon, or as root", path.display())]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("cannot make the control socket {}: {source}; the state directory must be writable, its path short", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The conversation broke off.
    #[error("no answer from the daemon on {}: {source}; its log may say why", dir.display())]
    Broken {
        /// The state directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon refused.
    #[error("the daemon says: {0}")]
    Refused(String),
}

/// Where the socket of a state directory is.
fn socket_path(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

#[cfg(test)]
mod tests;
