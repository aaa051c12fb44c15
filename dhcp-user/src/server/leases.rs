//! Leases given and extended by user space: what is promised is stored first, then published, then answered. What
//! is durable already is answered at once.

use super::{EPOCH, NETWORK, Server, commits::After, tally::Outcome};
use crate::{
    allocator::Binding,
    protocol::{Kind, Request, reply, reply::PROFILE},
    store::{LeaseRow, LeaseState, Op},
};
use dhcp_ebpf::abi::{BootSecs, Bounds};
use std::net::Ipv4Addr;

/// How many templates may be made for one lease: a client that asks for other options each time gets its answers
/// from user space, and leaves the table to the others.
const SHAPES_MAX: u8 = 4;

/// An acknowledgement, ready to be sent.
struct Ack {
    frame: Vec<u8>,
    /// The template that it was made of, where the kernel can have it.
    template: Option<u32>,
}

impl Server {
    /// Gives a free or offered address.
    pub(super) fn bind(&mut self, request: &Request, address: Ipv4Addr, now: u64) -> Outcome {
        if self.commits.stalled {
            return Outcome::StoreStalled;
        }
        // Before the address is taken: a reply that does not fit takes none.
        let Some(frame) = self.ack_frame(request, address) else { return Outcome::NoReply };
        let end = BootSecs::reached(now).plus(self.settings.lease);
        // Nothing is durable yet: a horizon of 0 lets nobody promise anything.
        let binding = Binding::new(
            request.client.clone(),
            request.mac,
            self.timeline.to_store(BootSecs::begun(now)),
            end,
            BootSecs(0),
            request.host_name.clone(),
        );
        if let Err(error) = self.allocator.bind(address, binding) {
            tracing::debug!(%address, client = %request.client, %error, "refused");
            return self.refuse(request, "address not available");
        }
        let template = self.template(request, address);
        self.promise(request, address, end, Ack { frame, template })
    }

    /// Extends the lease that the client has.
    pub(super) fn extend(&mut self, request: &Request, address: Ipv4Addr, now: u64) -> Outcome {
        let Some(frame) = self.ack_frame(request, address) else { return Outcome::NoReply };
        let template = self.template(request, address);
        let ack = Ack { frame, template };
        let end = BootSecs::reached(now).plus(self.settings.lease);
        let stalled = self.commits.stalled;
        let Some(binding) = self.allocator.binding_mut(address) else { return Outcome::NotTheirs };
        let renamed = request.host_name.is_some() && request.host_name != binding.host_name;
        let changed = renamed || binding.mac != request.mac;
        if end <= binding.horizon && (stalled || !changed) {
            self.raise(address, end, ack.template);
            self.outbox.push(ack.frame);
            self.schedule(address, BootSecs::begun(now));
            return Outcome::Ack;
        }
        if stalled {
            return Outcome::StoreStalled;
        }
        binding.mac = request.mac;
        if renamed {
            binding.host_name.clone_from(&request.host_name);
            self.rename(address);
        }
        self.promise(request, address, end, ack)
    }

    fn ack_frame(&self, request: &Request, address: Ipv4Addr) -> Option<Vec<u8>> {
        let made = self.replies.ack(request);
        reply::frame(request, &made.template, Kind::Ack { yiaddr: address })
    }

    /// The template that the kernel can answer this request's shape with.
    fn template(&mut self, request: &Request, address: Ipv4Addr) -> Option<u32> {
        let selectors = request.selectors.as_ref()?;
        let binding = self.allocator.binding_mut(address)?;
        let replies = &self.replies;
        self.fast_path.template_for(EPOCH, PROFILE.into(), selectors.as_bytes(), || {
            if binding.shapes >= SHAPES_MAX {
                return None;
            }
            let made = replies.ack(request);
            binding.shapes += u8::from(made.publishable);
            made.publishable.then_some(*made.template)
        })
    }

    /// Sends an acknowledgement once its promise is durable.
    fn promise(&mut self, request: &Request, address: Ipv4Addr, end: BootSecs, ack: Ack) -> Outcome {
        let Some((op, horizon)) = self.bound_row(address, end, self.horizon_of(end)) else {
            return Outcome::NotTheirs;
        };
        let client = request.client.clone();
        let (template, reply) = (ack.template, Some(ack.frame));
        self.commits.add(op, After::Leased { address, client, end, horizon, template, reply });
        Outcome::Ack
    }

    /// The store holds a lease's row by now: publish or raise it, then answer.
    pub(super) fn leased(&mut self, after: After, now: BootSecs) {
        let (address, client, horizon) = match &after {
            After::Leased { address, client, horizon, .. } | After::Horizon { address, client, horizon } => {
                (*address, client, *horizon)
            }
            After::Closed { .. } => return,
        };
        // It may have been released meanwhile.
        let Some(binding) = self.allocator.binding_mut(address).filter(|binding| binding.client() == client)
        else {
            return;
        };
        binding.horizon = binding.horizon.max(horizon);
        if let Some(slot) = binding.slot {
            self.fast_path.set_horizon(slot, binding.horizon);
        }
        if let After::Leased { end, template, reply, .. } = after {
            self.raise(address, end, template);
            self.outbox.extend(reply);
        }
        self.schedule(address, now);
    }

    /// Raises the end of a lease, before the answer that promises it leaves; a lease that the kernel does not know
    /// is published.
    fn raise(&mut self, address: Ipv4Addr, end: BootSecs, template: Option<u32>) {
        let Some(mac) = self.allocator.binding_mut(address).map(|binding| binding.mac) else { return };
        let gives_way = self.gives_way(mac, address).is_some();
        let Some(binding) = self.allocator.binding_mut(address) else { return };
        binding.renewed = binding.renewed.max(end);
        binding.end = binding.end.max(end);
        // A second of slack above what was promised (DESIGN, durability).
        let promised = if end == BootSecs::NEVER { end } else { BootSecs(end.0.saturating_add(1)) };
        if let Some(slot) = binding.slot {
            self.fast_path.promise(slot, promised);
            if template.is_some() {
                self.fast_path.set_template(slot, template);
            }
        } else if !gives_way {
            let bounds = Bounds { horizon: binding.horizon, promised };
            let name = binding.host_name.as_deref();
            match self.fast_path.publish(NETWORK, address, binding.client(), bounds, PROFILE, template, name)
            {
                Ok(slot) => binding.slot = Some(slot),
                Err(error) => {
                    self.unpublished += 1;
                    if let Some(times) = self.map_full.line() {
                        tracing::warn!(times, %error, "leases are served from user space alone");
                    }
                }
            }
        }
    }

    /// Publishes the host name that a lease has by now.
    fn rename(&mut self, address: Ipv4Addr) {
        let Some(binding) = self.allocator.binding_mut(address) else { return };
        if let Some(slot) = binding.slot
            && let Err(error) = self.fast_path.set_host_name(slot, binding.host_name.as_deref())
        {
            tracing::warn!(%error, "a host name is not published; the client's renewals pass");
        }
    }

    /// Leaves the renewals of a host's other leases to user space: the address that is reserved for it has become
    /// free, and it is told so there.
    pub(super) fn recall(&mut self, mac: dhcp_ebpf::abi::Mac, reserved: Ipv4Addr) {
        let held =
            self.allocator.bindings().filter(|(address, binding)| binding.mac == mac && *address != reserved);
        for slot in held.filter_map(|(_, binding)| binding.slot) {
            self.fast_path.withhold(slot);
        }
    }

    /// The row of a bound lease, and its horizon: never an earlier one than what was stored, or is on its way.
    pub(super) fn bound_row(
        &mut self,
        address: Ipv4Addr,
        end: BootSecs,
        horizon: BootSecs,
    ) -> Option<(Op, BootSecs)> {
        let binding = self.allocator.binding_mut(address)?;
        binding.sent_horizon = binding.sent_horizon.max(binding.horizon).max(horizon);
        let horizon = binding.sent_horizon;
        self.row(address, LeaseState::Bound, end, horizon).map(|op| (op, horizon))
    }

    /// A lease's row as it is to be stored.
    pub(super) fn row(
        &mut self,
        address: Ipv4Addr,
        state: LeaseState,
        end: BootSecs,
        horizon: BootSecs,
    ) -> Option<Op> {
        let binding = self.allocator.binding_mut(address)?;
        Some(Op::Put(LeaseRow {
            network: NETWORK,
            address,
            client: binding.client().clone(),
            mac: binding.mac,
            host_name: binding.host_name.clone(),
            state,
            start: binding.start,
            end: self.timeline.to_store(end),
            horizon: self.timeline.to_store(horizon),
        }))
    }
}
