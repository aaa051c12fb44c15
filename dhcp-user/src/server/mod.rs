//! The slow path's heart: one event loop that takes clients' messages, what the store and graces report, and what
//! people ask, and keeps allocator, store and maps in step. Owns the order of things (DESIGN, durability):
//! commit ▶ publish ▶ answer for a new lease, and the closing order for an old one. It must not read or write
//! frames (`protocol`), choose addresses (`allocator`), or touch maps (`fastpath`) and files (`store`) itself.

mod answers;
mod closing;
mod commits;
mod event_loop;
mod leases;
mod start;
mod tally;
mod upkeep;
mod view;
mod watch;

pub use start::{StartError, StateLock, start};

use crate::{
    allocator::Allocator,
    cli::Mode,
    clock::{Clock, Timeline},
    config::Settings,
    fastpath::{Attached, FastPath},
    interface::Interface,
    protocol::{Replies, Request},
    sockets::{FrameSocket, Sink},
    store::StoreCounters,
};
use closing::{Closings, Grace};
use commits::Commits;
use dhcp_ebpf::abi::Link;
use std::{sync::Arc, time::Instant};
use tally::{Tally, Throttle};
use tokio::sync::mpsc;

/// The id of the one network.
const NETWORK: u32 = 0;
/// The epoch of the one configuration.
const EPOCH: u32 = 1;

/// Everything that the daemon knows.
pub struct Server {
    interface: Interface,
    attached: Attached,
    /// The mode that was asked for.
    mode: Mode,
    settings: Settings,
    link: Link,
    replies: Replies,
    clock: Clock,
    timeline: Timeline,
    allocator: Allocator,
    fast_path: FastPath,
    commits: Commits,
    closings: Closings,
    /// Messages that wait for a lease to be closed, and when (nanoseconds of the boot clock) they came.
    deferred: Vec<(u64, Request)>,
    /// One of those leases is closed, or open again.
    take_up_deferred: bool,
    /// Frames to be sent, in order.
    outbox: Vec<Vec<u8>>,
    tally: Tally,
    exhausted: Throttle,
    map_full: Throttle,
    /// Leases that could not be published.
    unpublished: u64,
    /// Frames that the kernel refused to send.
    unsent: u64,
    store_counters: Arc<StoreCounters>,
    started: Instant,
}

/// What the event loop listens to, and holds open.
pub struct Ears {
    socket: FrameSocket,
    sink: Sink,
    reports: mpsc::UnboundedReceiver<crate::store::writer::Report>,
    graces: mpsc::UnboundedReceiver<Grace>,
    calls: mpsc::Receiver<crate::control::Call>,
    changes: mpsc::Receiver<Result<Interface, crate::interface::InterfaceError>>,
    _lock: StateLock,
}
