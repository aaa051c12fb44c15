//! RFC 2131 §4.3: what the server does with a client's message. Each message ends in one counted outcome. An
//! answer that gives or extends a lease goes out only when what it promises is durable; here it is only made.

use super::{EPOCH, NETWORK, Server, closing::Why, commits::After, tally::Outcome};
use crate::{
    allocator::{Binding, Holder, NoOffer, Place},
    protocol::{Kind, MessageType, Request, State, reply, reply::PROFILE},
    store::{LeaseRow, LeaseState, Op},
};
use dhcp_ebpf::abi::{BootSecs, Bounds};
use std::net::Ipv4Addr;

/// How many messages can wait for leases that are being closed.
const DEFERRED_MAX: usize = 4096;

/// What a client's record says about the address that it names.
enum Record {
    /// It is the client's, and may stay so.
    Theirs,
    /// It was the client's and is free: nobody else took it.
    Lapsed,
    /// It is being closed.
    Closing,
    /// The client must not use it, for this reason.
    Refused(&'static str),
    /// There is no record of the client, and nobody has the address.
    None,
}

impl Server {
    /// Does what a message asks for.
    pub(super) fn handle(&mut self, request: Request, now: u64) {
        let message = request.message;
        let outcome = match message {
            MessageType::Discover => self.discover(&request, BootSecs::begun(now)),
            MessageType::Request => self.request(&request, now),
            MessageType::Decline => self.decline(&request, BootSecs::begun(now)),
            MessageType::Release => self.release(&request),
            MessageType::Inform => {
                let made = self.replies.inform(&request);
                self.send(reply::frame(&request, &made.template, Kind::Inform), Outcome::Ack)
            }
        };
        self.tally.count(message, outcome);
        if outcome == Outcome::Deferred && self.deferred.len() < DEFERRED_MAX {
            self.deferred.push(request);
        }
    }

    /// RFC 2131 §4.3.1.
    fn discover(&mut self, request: &Request, now: BootSecs) -> Outcome {
        match self.allocator.offer(&request.client, request.mac, request.requested, now) {
            Ok(yiaddr) => {
                let made = self.replies.offer(request);
                self.send(reply::frame(request, &made.template, Kind::Offer { yiaddr }), Outcome::Offer)
            }
            Err(NoOffer::Closing(_)) => Outcome::Deferred,
            Err(NoOffer::Exhausted) => {
                if let Some(times) = self.exhausted.line() {
                    tracing::warn!(times, prefix = %self.settings.prefix, "no free address: widen the pools");
                }
                Outcome::Exhausted
            }
        }
    }

    /// RFC 2131 §4.3.2.
    fn request(&mut self, request: &Request, now: u64) -> Outcome {
        let address = request.address();
        match request.state() {
            Err(_) => Outcome::Malformed,
            Ok(State::Selecting { server_id }) if !request.is_ours(server_id) => {
                self.allocator.withdraw_offer(&request.client);
                Outcome::OtherServer
            }
            Ok(State::Selecting { .. }) => self.selecting(request, address, now),
            Ok(State::InitReboot | State::Renewing | State::Rebinding) => match self.record(request, address)
            {
                Record::Theirs => self.extend(request, address, now),
                Record::Lapsed => self.bind(request, address, now),
                Record::Closing => Outcome::Deferred,
                Record::Refused(why) => self.refuse(request, why),
                Record::None => Outcome::Unknown,
            },
        }
    }

    /// The client takes the address that we offered, or that we would offer: an offer that is forgotten, because
    /// the daemon was restarted since, is as good as one that is not.
    fn selecting(&mut self, request: &Request, address: Ipv4Addr, now: u64) -> Outcome {
        match self.allocator.record_of(&request.client) {
            Some((held, Holder::Bound(_))) if held == address => self.extend(request, address, now),
            Some((_, Holder::Closing(_))) => Outcome::Deferred,
            Some((held, Holder::Bound(_))) => {
                let offered = matches!(
                    self.allocator.holder(address),
                    Holder::Offered { client, .. } if *client == request.client
                );
                if !offered {
                    return self.refuse(request, "you have another address");
                }
                // It takes the one that is reserved for it by now: the other one is given up first.
                self.close(held, Why::Released);
                Outcome::Deferred
            }
            _ => self.bind(request, address, now),
        }
    }

    /// What is known about the client and the address that it names. Where the address is another client's, or of
    /// another network, the client is refused at once, also one that there is no record of: it would only go on
    /// asking, and RFC 2131 §4.3.2's silence is there for servers that may not know of a lease. All leases of this
    /// network are known here.
    fn record(&self, request: &Request, address: Ipv4Addr) -> Record {
        if !self.settings.prefix.contains(&address) {
            return Record::Refused("address of another network");
        }
        let record = self.allocator.record_of(&request.client);
        match (&record, self.allocator.holder(address)) {
            (Some((held, Holder::Bound(_))), _) if *held == address => {
                self.gives_way(request, address).map_or(Record::Theirs, Record::Refused)
            }
            (Some((held, Holder::Closing(_))), _) if *held == address => Record::Closing,
            (Some((held, Holder::Free { .. })), _) if *held == address => Record::Lapsed,
            (_, Holder::Offered { client, .. }) if *client == request.client => {
                if record.is_some() {
                    Record::Lapsed
                } else {
                    Record::None
                }
            }
            (_, Holder::Bound(_) | Holder::Closing(_) | Holder::Offered { .. }) => {
                Record::Refused("another client's address")
            }
            (_, Holder::Quarantined { .. }) => Record::Refused("address in use elsewhere"),
            (Some(_), _) => Record::Refused("you have another address"),
            (None, Holder::Free { .. } | Holder::Unknown) => Record::None,
        }
    }

    /// Why a holder is refused at its next renewal, although its lease has not ended: its address is not the
    /// network's any more, or is reserved for another host, or it has a free one reserved for itself.
    fn gives_way(&self, request: &Request, address: Ipv4Addr) -> Option<&'static str> {
        self.gives_way_as(request.mac, address)
    }

    pub(super) fn gives_way_as(&self, mac: dhcp_ebpf::abi::Mac, address: Ipv4Addr) -> Option<&'static str> {
        match self.allocator.place(address) {
            Place::Outside => return Some("address no longer served"),
            Place::Reserved(owner) if owner != mac => return Some("address reserved for another host"),
            Place::Reserved(_) | Place::Pool => {}
        }
        let reserved = self.allocator.reservation(mac).filter(|reserved| *reserved != address)?;
        matches!(self.allocator.holder(reserved), Holder::Free { .. })
            .then_some("another address is reserved for you")
    }

    /// Gives a free or offered address.
    fn bind(&mut self, request: &Request, address: Ipv4Addr, now: u64) -> Outcome {
        if self.commits.stalled {
            return Outcome::StoreStalled;
        }
        let lease = self.settings.lease;
        let end = BootSecs::reached(now).plus(lease);
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
        self.acknowledge(request, address, end, Promise::New)
    }

    /// Extends the lease that the client has.
    fn extend(&mut self, request: &Request, address: Ipv4Addr, now: u64) -> Outcome {
        let end = BootSecs::reached(now).plus(self.settings.lease);
        let Some(binding) = self.allocator.binding_mut(address) else { return Outcome::NotTheirs };
        let renamed = request.host_name.is_some() && request.host_name != binding.host_name;
        let changed = renamed || binding.mac != request.mac;
        if end > binding.horizon || changed {
            if self.commits.stalled {
                return Outcome::StoreStalled;
            }
            binding.mac = request.mac;
            if renamed {
                binding.host_name.clone_from(&request.host_name);
            }
            let promise = if renamed { Promise::Renamed } else { Promise::New };
            return self.acknowledge(request, address, end, promise);
        }
        self.acknowledge(request, address, end, Promise::Durable)
    }

    /// Makes the answer, and sends it once its promise is durable.
    fn acknowledge(
        &mut self,
        request: &Request,
        address: Ipv4Addr,
        end: BootSecs,
        promise: Promise,
    ) -> Outcome {
        let made = self.replies.ack(request);
        let Some(reply) = reply::frame(request, &made.template, Kind::Ack { yiaddr: address }) else {
            return Outcome::NoReply;
        };
        let template = match &request.selectors {
            Some(selectors) if made.publishable => {
                self.fast_path.template_for(EPOCH, PROFILE, selectors.as_bytes(), || Some(*made.template))
            }
            _ => None,
        };
        if promise == Promise::Durable {
            self.raise(address, end, template);
            self.outbox.push(reply);
            return Outcome::Ack;
        }
        let horizon = self.horizon_of(end);
        let Some(op) = self.row(address, LeaseState::Bound, end, horizon) else { return Outcome::NotTheirs };
        if promise == Promise::Renamed {
            self.rename(address);
        }
        let client = request.client.clone();
        let reply = Some(reply);
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
        let gives_way = self.allocator.binding_mut(address).map(|binding| binding.mac);
        let gives_way = gives_way.and_then(|mac| self.gives_way_as(mac, address)).is_some();
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
            match self.fast_path.publish(NETWORK, address, binding.client(), bounds, template, name) {
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

    /// RFC 2131 §4.3.3: somebody else has the address.
    fn decline(&mut self, request: &Request, now: BootSecs) -> Outcome {
        if request.server_id.is_some_and(|id| !request.is_ours(id)) {
            return Outcome::OtherServer;
        }
        let Some(address) = request.requested else { return Outcome::Malformed };
        match self.allocator.holder(address) {
            Holder::Bound(binding) if *binding.client() == request.client => {
                self.close(address, Why::Declined);
            }
            Holder::Offered { client, .. } if *client == request.client => self.quarantine(address, now),
            _ => return Outcome::NotTheirs,
        }
        tracing::warn!(%address, client = %request.client, "declined: somebody else has this address");
        Outcome::Declined
    }

    /// RFC 2131 §4.3.4: the lease is over, its client is remembered.
    fn release(&mut self, request: &Request) -> Outcome {
        if request.server_id.is_some_and(|id| !request.is_ours(id)) {
            return Outcome::OtherServer;
        }
        let address = request.ciaddr();
        match self.allocator.holder(address) {
            Holder::Bound(binding) if *binding.client() == request.client => {
                self.close(address, Why::Released);
                Outcome::Released
            }
            _ => Outcome::NotTheirs,
        }
    }

    fn refuse(&mut self, request: &Request, why: &str) -> Outcome {
        let made = self.replies.nak(request, why);
        self.send(reply::frame(request, &made.template, Kind::Nak), Outcome::Nak)
    }

    /// An answer that promises nothing that is not durable already.
    fn send(&mut self, reply: Option<Vec<u8>>, outcome: Outcome) -> Outcome {
        let Some(reply) = reply else { return Outcome::NoReply };
        self.outbox.push(reply);
        outcome
    }
}

/// What an acknowledgement promises, beside what is durable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// Nothing: it ends before the horizon.
    Durable,
    /// A later end, or a change of the row.
    New,
    /// The same, with another host name.
    Renamed,
}
