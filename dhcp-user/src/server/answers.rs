//! RFC 2131 §4.3: what the server does with a client's message. Each message ends in one counted outcome. An
//! answer that gives or extends a lease goes out only when what it promises is durable; here it is only made.

use super::{Server, closing::Why, tally::Outcome};
use crate::{
    allocator::{Holder, NoOffer, Place},
    protocol::{Kind, MessageType, Request, State, reply},
};
use dhcp_ebpf::abi::{BootSecs, Mac};
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
            self.deferred.push((now, request));
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
            Some((held, Holder::Bound(_))) if held == address => match self.gives_way(request.mac, address) {
                Some(why) => self.refuse(request, why),
                None => self.extend(request, address, now),
            },
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
                self.gives_way(request.mac, address).map_or(Record::Theirs, Record::Refused)
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
    pub(super) fn gives_way(&self, mac: Mac, address: Ipv4Addr) -> Option<&'static str> {
        match self.allocator.place(address) {
            Place::Outside => return Some("address no longer served"),
            Place::Reserved(owner) if owner != mac => return Some("address reserved for another host"),
            Place::Reserved(_) | Place::Pool => {}
        }
        let reserved = self.allocator.reservation(mac).filter(|reserved| *reserved != address)?;
        matches!(self.allocator.holder(reserved), Holder::Free { .. })
            .then_some("another address is reserved for you")
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
            Holder::Closing(binding) if *binding.client() == request.client => return Outcome::Deferred,
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
            // It may be open again in a moment.
            Holder::Closing(binding) if *binding.client() == request.client => Outcome::Deferred,
            _ => Outcome::NotTheirs,
        }
    }

    pub(super) fn refuse(&mut self, request: &Request, why: &str) -> Outcome {
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
