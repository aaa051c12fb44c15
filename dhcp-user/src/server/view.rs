//! What people are shown of a running daemon.

use super::{Ears, Server, upkeep::has_ended};
use crate::{
    allocator::Holder,
    clock::ClockError,
    control::{Counts, LeaseState, LeaseView, RenewedBy, StatsView},
};
use dhcp_ebpf::abi::BootSecs;
use std::{collections::BTreeMap, net::Ipv4Addr, sync::atomic::Ordering};

/// What a lease's row is made of, copied so that the event loop need not wait while it is sent.
struct Row {
    address: Ipv4Addr,
    client: crate::identity::ClientId,
    mac: dhcp_ebpf::abi::Mac,
    host_name: Option<Box<[u8]>>,
    state: LeaseState,
    end: BootSecs,
    renewed_by: Option<RenewedBy>,
}

impl Server {
    /// Every lease, then every address in quarantine.
    pub(super) fn lease_views(&self) -> Result<Box<dyn Iterator<Item = LeaseView> + Send>, ClockError> {
        let now = self.now()?;
        let wall = u64::try_from(self.clock.wall_now().0).unwrap_or_default();
        let rows: Vec<Row> = self
            .allocator
            .bindings()
            .map(|(address, binding)| {
                let kernel = binding.slot.map_or(BootSecs(0), |slot| self.fast_path.kernel_end(slot));
                let end = binding.end.max(kernel);
                let closing =
                    matches!(self.allocator.holder(address), Holder::Closing(_)) || has_ended(end, now);
                let by = if kernel > binding.end { RenewedBy::Kernel } else { RenewedBy::Daemon };
                Row {
                    address,
                    client: binding.client().clone(),
                    mac: binding.mac,
                    host_name: binding.host_name.clone(),
                    state: if closing { LeaseState::Closing } else { LeaseState::Bound },
                    end,
                    renewed_by: Some(by),
                }
            })
            .collect();
        let quarantined: Vec<(Ipv4Addr, BootSecs)> = self.allocator.quarantined().collect();
        let left = move |end: BootSecs| {
            // Ends are rounded up to the second behind the one that has begun.
            (end != BootSecs::NEVER).then(|| u64::from(end.0.saturating_sub(now.0.saturating_add(1))))
        };
        let quarantined = quarantined.into_iter().map(move |(address, until)| LeaseView {
            address,
            client_id: String::new(),
            mac: None,
            host_name: None,
            state: LeaseState::Quarantined,
            expires_in: left(until),
            expires_at: left(until).map(|left| wall + left),
            renewed_by: None,
        });
        let leases = rows.into_iter().map(move |row| {
            let left = left(row.end);
            LeaseView {
                address: row.address,
                client_id: row.client.bytes().iter().map(|octet| format!("{octet:02x}")).collect(),
                mac: Some(row.mac.to_string()),
                host_name: row.host_name.map(|name| String::from_utf8_lossy(&name).into_owned()),
                state: row.state,
                expires_in: left,
                expires_at: left.map(|left| wall + left),
                renewed_by: row.renewed_by,
            }
        });
        Ok(Box::new(leases.chain(quarantined)))
    }

    /// Every counter.
    pub(super) fn stats_view(&self, ears: &Ears) -> StatsView {
        let named = |counts: &[(&str, u64)]| -> Counts {
            counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let fast_path = self.fast_path.counters().unwrap_or_else(|error| {
            tracing::error!(%error, "the fast path's counters cannot be read");
            Vec::new()
        });
        let mut slow_path: BTreeMap<String, Counts> = BTreeMap::new();
        for (message, outcome, count) in self.tally.counts() {
            slow_path.entry(message.to_owned()).or_default().insert(outcome.to_owned(), count);
        }
        let frames = ears.socket.counters().unwrap_or_else(|error| {
            tracing::error!(%error, "the socket's counters cannot be read");
            Default::default()
        });
        let addresses = self.allocator.counts();
        let templates = self.fast_path.template_counts();
        let store = &*self.store_counters;
        StatsView {
            interface: self.interface.name.clone(),
            mode: self.attached.mode.to_string(),
            uptime: self.started.elapsed().as_secs(),
            addresses: named(&[
                ("total", addresses.total().into()),
                ("free", addresses.free.into()),
                ("reserved", addresses.reserved.into()),
                ("offered", addresses.offered.into()),
                ("bound", addresses.bound.into()),
                ("closing", addresses.closing.into()),
                ("quarantined", addresses.quarantined.into()),
                ("published", self.fast_path.used_slots().into()),
                ("not-published", self.unpublished),
                ("templates", templates.used.into()),
                ("templates-refused", templates.refused),
            ]),
            fast_path: named(&fast_path),
            slow_path,
            sockets: named(&[
                ("received", frames.received),
                ("dropped", frames.dropped),
                ("unsent", self.unsent),
                ("sink", ears.sink.refused().unwrap_or_default().into()),
            ]),
            store: named(&[
                ("commits", store.commits.load(Ordering::Relaxed)),
                ("syncs", store.syncs.load(Ordering::Relaxed)),
                ("rows", store.rows.load(Ordering::Relaxed)),
                ("stalled", self.commits.stalled.into()),
            ]),
        }
    }
}
