//! The closing order (DESIGN, durability): mark the slot closed in place ▶ grace ▶ read the end, only now final
//! ▶ commit ▶ unpublish ▶ free. One grace serves all leases that are to be closed at the moment.

use super::{Server, commits::After};
use crate::{
    allocator::{Holder, Place},
    store::LeaseState,
    sys::membarrier,
};
use dhcp_ebpf::abi::{BootSecs, LeaseSecs};
use std::{io, net::Ipv4Addr};
use tokio::sync::mpsc;

/// How long an address is kept from use after a client found somebody else there.
const QUARANTINE: LeaseSecs = LeaseSecs(3600);

/// Why a lease is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its end seems to have come.
    Expired,
    /// The client gave it back, by a DHCPRELEASE or by taking another address.
    Released,
    /// The client found somebody else there.
    Declined,
}

/// A lease on its way out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    address: Ipv4Addr,
    why: Why,
}

/// A grace that is over, or failed.
pub(super) struct Grace {
    closings: Vec<Closing>,
    outcome: io::Result<()>,
}

/// The leases that are being closed.
pub(super) struct Closings {
    waiting: Vec<Closing>,
    in_grace: bool,
    /// The kernel refused the last grace.
    failed: bool,
    graces: mpsc::UnboundedSender<Grace>,
}

impl Closings {
    /// None yet; graces that are over are sent to `graces`.
    pub(super) fn new(graces: mpsc::UnboundedSender<Grace>) -> Self {
        Self { waiting: Vec::new(), in_grace: false, failed: false, graces }
    }

    /// Begins a grace, if there is something to wait for and none is under way. It takes some milliseconds, so a
    /// thread of its own waits for it.
    pub(super) fn start(&mut self) {
        if self.in_grace || self.failed || self.waiting.is_empty() {
            return;
        }
        self.in_grace = true;
        let closings = std::mem::take(&mut self.waiting);
        let graces = self.graces.clone();
        tokio::task::spawn_blocking(move || {
            let outcome = membarrier::global();
            // Nobody listens any more where the daemon ends: the leases stay bound in the store.
            graces.send(Grace { closings, outcome }).unwrap_or_default();
        });
    }

    /// Lets a grace that the kernel refused be asked for once more.
    pub(super) fn try_again(&mut self) {
        self.failed = false;
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        !self.in_grace && self.waiting.is_empty()
    }
}

impl Server {
    /// Begins to close a bound lease.
    pub(super) fn close(&mut self, address: Ipv4Addr, why: Why) {
        let Some(binding) = self.allocator.binding_mut(address) else { return };
        if let Some(slot) = binding.slot {
            self.fast_path.close(slot);
        }
        if let Err(error) = self.allocator.begin_close(address) {
            tracing::error!(%error, "a lease cannot be closed");
            return;
        }
        self.closings.waiting.push(Closing { address, why });
    }

    /// The grace is over: no packet that saw these leases open is under way, so their ends are final.
    pub(super) fn grace_over(&mut self, grace: Grace, now: BootSecs) {
        self.closings.in_grace = false;
        if let Err(error) = grace.outcome {
            tracing::error!(%error, "membarrier failed; the leases stay closed until it works");
            self.closings.waiting.extend(grace.closings);
            self.closings.failed = true;
            return;
        }
        for closing in grace.closings {
            self.end_is_final(closing, now);
        }
    }

    fn end_is_final(&mut self, Closing { address, why }: Closing, now: BootSecs) {
        if self.allocator.reopen(address).is_err() {
            return;
        }
        let Some(binding) = self.allocator.binding_mut(address) else { return };
        let slot = binding.slot;
        if let Some(slot) = slot {
            binding.end = binding.end.max(self.fast_path.kernel_end(slot));
        }
        if why == Why::Expired && !super::upkeep::has_ended(binding.end, now) {
            // The kernel extended it between the look and the close.
            if let Some(slot) = slot {
                self.fast_path.reopen(slot);
            }
            self.schedule(address, now);
            self.take_up_deferred = true;
            return;
        }
        let (state, end) = match why {
            Why::Expired => (LeaseState::Expired, binding.end),
            Why::Released => (LeaseState::Released, now),
            Why::Declined => (LeaseState::Declined, now.plus(QUARANTINE)),
        };
        if let Some(op) = self.row(address, state, end, end) {
            self.commits.add(op, After::Closed { address, why });
        }
        if let Err(error) = self.allocator.begin_close(address) {
            tracing::error!(%error, "a lease cannot be closed");
        }
    }

    /// The final end is stored: the address is free, or in quarantine.
    pub(super) fn closed(&mut self, address: Ipv4Addr, why: Why, now: BootSecs) {
        let slot = match self.allocator.holder(address) {
            Holder::Closing(binding) => binding.slot,
            _ => return,
        };
        if let Some(slot) = slot
            && let Err(error) = self.fast_path.unpublish(slot, super::NETWORK, address)
        {
            tracing::error!(%address, %error, "a closed lease stays published; it is answered to nobody");
        }
        let freed = if why == Why::Declined {
            self.allocator.quarantine(address, now.plus(QUARANTINE))
        } else {
            self.allocator.finish_close(address).map(drop)
        };
        if let Err(error) = freed {
            tracing::error!(%error, "a closed lease cannot be freed");
        }
        if let Place::Reserved(mac) = self.allocator.place(address) {
            self.recall(mac, address);
        }
        self.take_up_deferred = true;
    }

    /// Keeps an offered address from use: the client that it was offered to found somebody there.
    pub(super) fn quarantine(&mut self, address: Ipv4Addr, now: BootSecs) {
        if let Err(error) = self.allocator.quarantine(address, now.plus(QUARANTINE)) {
            tracing::warn!(%error, "DECLINE");
        }
    }
}
