//! Group commit: changes gather while one batch is on its way to the disk, and go out together when it is there.
//! Owns what waits for which batch; must not do anything of it before the batch is durable.

use super::closing::Why;
use crate::{
    clock::Stamp,
    identity::ClientId,
    store::{
        Op,
        sqlite::SqliteStore,
        writer::{Batch, Writer, WriterError},
    },
};
use dhcp_ebpf::abi::BootSecs;
use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

/// What is done once a change is durable.
#[derive(Debug)]
pub(super) enum After {
    /// A lease was given or extended by user space: publish it, then answer.
    Leased {
        /// The leased address.
        address: Ipv4Addr,
        /// Whose it is.
        client: ClientId,
        /// The end that the answer promises.
        end: BootSecs,
        /// The horizon that is durable by then.
        horizon: BootSecs,
        /// The template of the answer, where it has one.
        template: Option<u32>,
        /// The answer; None where it has become too late for it.
        reply: Option<Vec<u8>>,
    },
    /// A lease's horizon moved on.
    Horizon {
        /// The leased address.
        address: Ipv4Addr,
        /// Whose it is.
        client: ClientId,
        /// The horizon that is durable by then.
        horizon: BootSecs,
    },
    /// A lease's final end is stored.
    Closed {
        /// The address.
        address: Ipv4Addr,
        /// Why it was closed.
        why: Why,
    },
}

/// A batch that is not durable yet.
struct InFlight {
    id: u64,
    since: Instant,
    after: Vec<After>,
}

/// How long a batch may take before the disk counts as failing: an answer that comes later than this would count
/// from a moment that the client no longer counts from.
const HANGS: Duration = Duration::from_secs(2);

/// The changes on their way to the disk.
pub(super) struct Commits {
    writer: Writer<SqliteStore>,
    next: u64,
    in_flight: Option<InFlight>,
    ops: Vec<Op>,
    after: Vec<After>,
    /// The store fails at the moment.
    pub(super) stalled: bool,
}

impl Commits {
    /// Nothing yet.
    pub(super) fn new(writer: Writer<SqliteStore>) -> Self {
        Self { writer, next: 0, in_flight: None, ops: Vec::new(), after: Vec::new(), stalled: false }
    }

    /// A change for the next batch, and what follows it.
    pub(super) fn add(&mut self, op: Op, after: impl Into<Option<After>>) {
        self.ops.push(op);
        self.after.extend(after.into());
    }

    /// Sends the next batch, if there is one and none is on its way.
    pub(super) fn flush(&mut self, stamp: Stamp) -> Result<(), WriterError> {
        if self.in_flight.is_some() || self.ops.is_empty() {
            return Ok(());
        }
        let id = self.next;
        self.next += 1;
        self.writer.send(Batch { id, ops: std::mem::take(&mut self.ops), stamp })?;
        self.in_flight = Some(InFlight { id, since: Instant::now(), after: std::mem::take(&mut self.after) });
        Ok(())
    }

    /// A batch is durable: what is to be done now, in the order of the changes.
    pub(super) fn committed(&mut self, id: u64) -> Vec<After> {
        self.stalled = false;
        let done = self.in_flight.take_if(|in_flight| in_flight.id == id);
        done.map_or_else(Vec::new, |in_flight| in_flight.after)
    }

    /// Takes a disk that hangs for one that fails.
    pub(super) fn watch(&mut self) {
        if !self.stalled && self.in_flight.as_ref().is_some_and(|batch| batch.since.elapsed() > HANGS) {
            tracing::error!("the disk hangs: no new lease until it is back; bound clients go on");
            self.stall();
        }
    }

    /// The store fails. Who waits for an answer will have asked again by the time that it is back: an answer as
    /// late as that would promise time that has passed.
    pub(super) fn stall(&mut self) {
        self.stalled = true;
        let waiting = self.in_flight.iter_mut().flat_map(|batch| &mut batch.after).chain(&mut self.after);
        for after in waiting {
            if let After::Leased { reply, .. } = after {
                *reply = None;
            }
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.ops.is_empty()
    }

    /// Waits for everything that was sent, and gives the store back.
    pub(super) fn stop(self) -> Result<SqliteStore, WriterError> {
        self.writer.stop()
    }
}
