//! What time asks for: leases that ended, horizons that fall due, offers that lapse. A lease is looked at when its
//! end or its horizon can have come, not before: an interval in which nothing falls due writes nothing.

use super::{Server, commits::After};
use crate::{allocator::Binding, server::closing::Why};
use dhcp_ebpf::abi::{BootSecs, LeaseSecs};
use std::net::Ipv4Addr;

/// How long after its end a lease is taken for ended. It covers what rounding, and two packets of one client on
/// two CPUs, can make of an end.
const SLACK: u32 = 2;

/// Whether a lease with this end is over.
pub(super) fn has_ended(end: BootSecs, now: BootSecs) -> bool {
    end != BootSecs::NEVER && now.0 >= end.0.saturating_add(SLACK)
}

/// The moment that [`has_ended`] says yes.
fn over_at(end: BootSecs) -> BootSecs {
    if end == BootSecs::NEVER { end } else { BootSecs(end.0.saturating_add(SLACK)) }
}

impl Server {
    /// The horizon of a lease with this end, DESIGN: at most some lease times beyond it.
    pub(super) fn horizon_of(&self, end: BootSecs) -> BootSecs {
        let lease = self.settings.lease;
        if end == BootSecs::NEVER || lease == LeaseSecs::INFINITE {
            return end;
        }
        end.plus(LeaseSecs(lease.0.saturating_mul(self.settings.horizon).min(LeaseSecs::INFINITE.0 - 1)))
    }

    /// When the horizon has to move so that the next renewal still fits: one and a half lease times before it,
    /// which is a lease that is renewed half a lease time from now.
    fn refresh_at(&self, horizon: BootSecs) -> BootSecs {
        if horizon == BootSecs::NEVER {
            return horizon;
        }
        BootSecs(horizon.0.saturating_sub(self.settings.lease.0.saturating_add(self.settings.lease.0 / 2)))
    }

    /// Says when a bound lease is to be looked at next: when its horizon may have to move, then when its end may
    /// have come.
    pub(super) fn schedule(&mut self, address: Ipv4Addr, now: BootSecs) {
        let Some(&mut Binding { end, horizon, .. }) = self.allocator.binding_mut(address) else { return };
        let (refresh, over) = (self.refresh_at(horizon), over_at(end));
        // A client that is late for T1 moves its horizon when it has come.
        let often = BootSecs(now.0.saturating_add((self.settings.lease.0 / 8).max(1)));
        let at = if refresh > now { refresh.min(over) } else { over.min(often) };
        if let Err(error) = self.allocator.schedule(address, at.max(BootSecs(now.0.saturating_add(1)))) {
            tracing::error!(%error, "a lease cannot be scheduled");
        }
    }

    /// Looks at what is due. Called about once a second.
    pub(super) fn upkeep(&mut self, now: BootSecs) {
        self.allocator.lapse_offers(now);
        self.closings.try_again();
        self.commits.watch();
        if self.commits.stalled {
            // Nothing could be stored; all of it is due when the store is back.
            return;
        }
        for address in self.allocator.take_due(now) {
            self.look_at(address, now);
        }
    }

    fn look_at(&mut self, address: Ipv4Addr, now: BootSecs) {
        let Some(binding) = self.allocator.binding_mut(address) else { return };
        if let Some(slot) = binding.slot {
            binding.renewed = binding.renewed.max(self.fast_path.kernel_end(slot));
        }
        binding.end = binding.end.max(binding.renewed);
        let client = binding.client().clone();
        let Binding { end, renewed, horizon, sent_horizon: sent, .. } = *binding;
        if has_ended(end, now) {
            self.close(address, Why::Expired);
            return;
        }
        // An end that is only assumed, after a kill, moves no horizon: the client may be gone.
        let wanted = self.horizon_of(renewed);
        if renewed > BootSecs(0)
            && wanted > sent
            && self.refresh_at(horizon) <= now
            && let Some((op, horizon)) = self.bound_row(address, end, wanted)
        {
            self.commits.add(op, After::Horizon { address, client, horizon });
        }
        self.schedule(address, now);
    }
}
