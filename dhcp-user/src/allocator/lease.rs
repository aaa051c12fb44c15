//! The life of a lease, from its binding to the moment its address is free: what is known of it, when something
//! is due, closing and quarantine. Must not choose addresses.

use super::{
    Allocator, Place,
    arena::{Spot, State},
};
use crate::{clock::StoreSecs, identity::ClientId};
use dhcp_ebpf::abi::{BootSecs, Mac};
use std::net::Ipv4Addr;

/// A client's lease of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    client: ClientId,
    due: Option<BootSecs>,
    /// `chaddr` of the client's last message.
    pub mac: Mac,
    /// When the client got it. For people alone, and often before this boot.
    pub start: StoreSecs,
    /// The latest end that user space knows of; the kernel may have promised a later one.
    pub end: BootSecs,
    /// The latest end that was promised since the daemon started, as far as user space knows; 0 for none.
    pub renewed: BootSecs,
    /// The latest end that is durable.
    pub horizon: BootSecs,
    /// The latest end that is durable, or on its way to the disk.
    pub sent_horizon: BootSecs,
    /// How many shapes of requests were published for this lease.
    pub shapes: u8,
    /// The client's option 12, as it came.
    pub host_name: Option<Box<[u8]>>,
    /// Where it is published to the kernel: its index in `SLOTS`.
    pub slot: Option<u32>,
}

impl Binding {
    /// A lease that is not published.
    pub fn new(
        client: ClientId,
        mac: Mac,
        start: StoreSecs,
        end: BootSecs,
        horizon: BootSecs,
        host_name: Option<Box<[u8]>>,
    ) -> Self {
        Self {
            client,
            due: None,
            mac,
            start,
            end,
            renewed: BootSecs(0),
            horizon,
            sent_horizon: horizon,
            shapes: 0,
            host_name,
            slot: None,
        }
    }

    /// Whose it is, for as long as it lasts.
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// When [`Allocator::take_due`] gives it out.
    pub fn due(&self) -> Option<BootSecs> {
        self.due
    }
}

/// Why an address can't be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// It is outside the pools and reservations.
    #[error("not an address of this network")]
    Unknown,
    /// It is reserved for another hardware address.
    #[error("reserved for another host")]
    Reserved,
    /// It is another client's, or this one's already, or closing, or in quarantine.
    #[error("not free")]
    Taken,
    /// The client has a lease of another address, which has to be closed first.
    #[error("the client has {0}")]
    Elsewhere(Ipv4Addr),
}

/// What was asked for does not fit the state that an address is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address}: {asked}, but its state does not allow it")]
pub struct WrongState {
    /// The address.
    pub address: Ipv4Addr,
    /// What was asked for.
    pub asked: &'static str,
}

impl Allocator {
    /// Makes a lease of an address that is free or offered to its client. Another address that the client was
    /// offered is free again.
    ///
    /// # Errors
    /// Nothing has changed.
    pub fn bind(&mut self, address: Ipv4Addr, binding: Binding) -> Result<(), BindError> {
        let spot = self.arena.find(address).ok_or(BindError::Unknown)?;
        let entry = &self.arena[spot];
        match entry.place {
            Place::Outside => return Err(BindError::Unknown),
            Place::Reserved(mac) if mac != binding.mac => return Err(BindError::Reserved),
            Place::Reserved(_) | Place::Pool => {}
        }
        match &entry.state {
            State::Free => {}
            State::Offered(offer) if offer.client == binding.client => {}
            _ => return Err(BindError::Taken),
        }
        if let Some((other, _)) = self.binding_of(&binding.client) {
            return Err(BindError::Elsewhere(other));
        }
        self.withdraw_offer(&binding.client);
        self.hold(spot, binding);
        Ok(())
    }

    /// Takes over a lease from the store, before anything is offered: whatever the configuration says by now, what
    /// was promised holds. An address outside the pools and reservations is known until its lease is closed.
    ///
    /// # Errors
    /// The address is not free: it was given twice.
    pub fn restore(&mut self, address: Ipv4Addr, binding: Binding) -> Result<(), WrongState> {
        let spot = self.arena.find_or_add(address);
        if !matches!(self.arena[spot].state, State::Free) {
            return Err(WrongState { address, asked: "restore" });
        }
        self.hold(spot, binding);
        Ok(())
    }

    /// Takes over from the store who had a free address last. To be called in the order in which the addresses
    /// fell free, which is the one that they will be reused in.
    pub fn restore_last(&mut self, address: Ipv4Addr, client: &ClientId) {
        let Some(spot) = self.arena.find(address) else { return };
        if matches!(self.arena[spot].state, State::Free) {
            self.leave(spot);
            self.forget_last(spot);
            if self.binding_of(client).is_none() {
                self.remember_last(spot, client);
            }
            self.enter(spot, State::Free);
        }
    }

    /// Binds a free entry. A client that the store has two leases of is found by the one that ends last; the
    /// other one holds all the same.
    fn hold(&mut self, spot: Spot, binding: Binding) {
        self.leave(spot);
        self.forget_last(spot);
        let later = self.binding_of(&binding.client).is_some_and(|(_, other)| other.end > binding.end);
        if !later {
            if let Some(before) = self.claims(&binding.client).held {
                self.arena[before].last = None;
            }
            self.claim(&binding.client, |claims| claims.held = Some(spot));
        }
        self.enter(spot, State::Held { binding: Box::new(binding), closing: false });
    }

    /// A bound lease, to be changed.
    pub fn binding_mut(&mut self, address: Ipv4Addr) -> Option<&mut Binding> {
        let spot = self.arena.find(address)?;
        match &mut self.arena[spot].state {
            State::Held { binding, closing: false } => Some(binding),
            _ => None,
        }
    }

    /// Says when something is to be done about a bound lease, instead of what was said before. Never: nothing.
    ///
    /// # Errors
    /// It is not bound.
    pub fn schedule(&mut self, address: Ipv4Addr, at: BootSecs) -> Result<(), WrongState> {
        let wrong = WrongState { address, asked: "schedule" };
        let spot = self.arena.find(address).ok_or(wrong)?;
        let State::Held { binding, closing: false } = &mut self.arena[spot].state else { return Err(wrong) };
        let next = (at != BootSecs::NEVER).then_some(at);
        let before = std::mem::replace(&mut binding.due, next);
        self.unschedule(spot, before);
        self.due.extend(next.map(|at| (at, spot)));
        Ok(())
    }

    /// The bound leases that are due by now, the earliest first; none is due again before it is scheduled again.
    /// Quarantines that are over end here.
    pub fn take_due(&mut self, now: BootSecs) -> Vec<Ipv4Addr> {
        let mut addresses = Vec::new();
        while let Some(&(at, spot)) = self.due.first()
            && at <= now
        {
            self.due.pop_first();
            let entry = &mut self.arena[spot];
            if let State::Held { binding, .. } = &mut entry.state {
                binding.due = None;
                addresses.push(entry.address);
            } else {
                self.leave(spot);
                self.enter(spot, State::Free);
            }
        }
        addresses
    }

    /// Begins to close a bound lease: from here on it is neither renewed, nor due, nor free.
    ///
    /// # Errors
    /// It is not bound.
    pub fn begin_close(&mut self, address: Ipv4Addr) -> Result<(), WrongState> {
        self.set_closing(address, true, "begin to close")
    }

    /// Takes the beginning of a closing back: the lease turned out to be alive. It is due when it is scheduled.
    ///
    /// # Errors
    /// It is not closing.
    pub fn reopen(&mut self, address: Ipv4Addr) -> Result<(), WrongState> {
        self.set_closing(address, false, "reopen")
    }

    fn set_closing(&mut self, address: Ipv4Addr, to: bool, asked: &'static str) -> Result<(), WrongState> {
        let wrong = WrongState { address, asked };
        let spot = self.arena.find(address).ok_or(wrong)?;
        match &self.arena[spot].state {
            State::Held { closing, .. } if *closing != to => {}
            _ => return Err(wrong),
        }
        if let State::Held { mut binding, .. } = self.leave(spot) {
            binding.due = None;
            self.enter(spot, State::Held { binding, closing: to });
        }
        Ok(())
    }

    /// Frees the address of a closing lease, whose final end is durable by now and has come. Its client is
    /// remembered. Returns what the lease was.
    ///
    /// # Errors
    /// It is not closing.
    pub fn finish_close(&mut self, address: Ipv4Addr) -> Result<Binding, WrongState> {
        let wrong = WrongState { address, asked: "finish closing" };
        let spot = self.arena.find(address).ok_or(wrong)?;
        let State::Held { closing: true, .. } = self.arena[spot].state else { return Err(wrong) };
        let State::Held { binding, .. } = self.leave(spot) else { return Err(wrong) };
        // A client that the store had two leases of may be found by the other one.
        if self.claims(&binding.client).held == Some(spot) {
            self.remember_last(spot, &binding.client);
        }
        self.enter(spot, State::Free);
        Ok(*binding)
    }

    /// Keeps an address from use until then: somebody is there. It is free, offered or closing, or in quarantine
    /// already; its last client is forgotten, so that it gets another one.
    ///
    /// # Errors
    /// It is bound, or unknown.
    pub fn quarantine(&mut self, address: Ipv4Addr, until: BootSecs) -> Result<(), WrongState> {
        let wrong = WrongState { address, asked: "quarantine" };
        let spot = self.arena.find(address).ok_or(wrong)?;
        let entry = &self.arena[spot];
        let known = entry.place != Place::Outside || matches!(entry.state, State::Held { .. });
        if !known || matches!(entry.state, State::Held { closing: false, .. }) {
            return Err(wrong);
        }
        match self.leave(spot) {
            State::Offered(offer) => self.claim(&offer.client, |claims| claims.offered = None),
            State::Held { binding, .. } if self.claims(&binding.client).held == Some(spot) => {
                self.claim(&binding.client, |claims| claims.held = None);
            }
            _ => {}
        }
        self.forget_last(spot);
        self.enter(spot, State::Quarantined(until));
        Ok(())
    }

    /// Remembers who had an address last, and no other address of that client; nobody where the address is no
    /// longer the network's.
    fn remember_last(&mut self, spot: Spot, client: &ClientId) {
        if let Some(before) = self.claims(client).held {
            self.arena[before].last = None;
        }
        let known = (self.arena[spot].place != Place::Outside).then_some(spot);
        self.arena[spot].last = known.map(|_| client.clone());
        self.claim(client, |claims| claims.held = known);
    }

    fn forget_last(&mut self, spot: Spot) {
        if let Some(last) = self.arena[spot].last.take() {
            self.claim(&last, |claims| claims.held = None);
        }
    }
}
