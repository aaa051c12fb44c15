//! One network's addresses: which are free, who is offered or bound to which. Owns that, in memory, with O(1)
//! for each allocation; it must not do I/O, read a clock (`now` is passed in), know messages, or free an address
//! before its holder's promise ended: that is the caller's closing order (DESIGN, durability), which
//! [`Allocator::begin_close`] and [`Allocator::finish_close`] frame.
//!
//! Free ─▶ Offered ─▶ Bound ─▶ Closing ─▶ Free, and Quarantined where somebody else was found at an address.
//! A client has one lease in a network. Who gets what is in `offer.rs`, the life of a lease in `lease.rs`.

mod arena;
mod lease;
mod offer;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use arena::Place;
pub use lease::{BindError, Binding, WrongState};
pub use offer::NoOffer;

use crate::identity::ClientId;
use arena::{Arena, List, Spot, State};
use dhcp_ebpf::abi::{BootSecs, LeaseSecs, Mac};
use std::{
    collections::{BTreeSet, HashMap},
    net::Ipv4Addr,
};

/// The addresses of a network.
#[derive(Debug)]
pub struct Allocator {
    arena: Arena,
    /// The pools' free addresses that are reserved for nobody, the one to be given next first: never used, then
    /// least recently used.
    free: List,
    /// Offered addresses, the earliest to lapse first. The order is that of the offers, since all are held
    /// equally long.
    offers: List,
    clients: HashMap<ClientId, Claims>,
    reserved: HashMap<Mac, Spot>,
    /// When something is to be done about a lease, and when quarantines end.
    due: BTreeSet<(BootSecs, Spot)>,
    counts: Counts,
    offer_hold: LeaseSecs,
}

/// A client's addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Claims {
    /// The address that it is bound to or, if to none, that it had last.
    held: Option<Spot>,
    /// The address that it is offered.
    offered: Option<Spot>,
}

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder<'a> {
    /// Nothing: it is no address of this network's.
    Unknown,
    /// Nobody holds it.
    Free {
        /// The client that had it last and gets it again, as long as nobody else takes it.
        last: Option<&'a ClientId>,
    },
    /// A client was offered it.
    Offered {
        /// The client.
        client: &'a ClientId,
        /// When the offer lapses.
        until: BootSecs,
    },
    /// A client has it.
    Bound(&'a Binding),
    /// A client had it; what was promised is being found out.
    Closing(&'a Binding),
    /// Somebody was found there who should not be.
    Quarantined {
        /// When it can be used again.
        until: BootSecs,
    },
}

/// How many addresses are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Free, for anyone.
    pub free: u32,
    /// Free, for the owner of their reservation alone.
    pub reserved: u32,
    /// Offered.
    pub offered: u32,
    /// Bound, those outside the pools and reservations included.
    pub bound: u32,
    /// Being closed.
    pub closing: u32,
    /// In quarantine.
    pub quarantined: u32,
}

impl Counts {
    /// All of them.
    pub fn total(&self) -> u32 {
        self.free + self.reserved + self.offered + self.bound + self.closing + self.quarantined
    }

    /// The count that an entry is in. A free address outside the configuration is not the network's any more.
    fn of(&mut self, place: Place, state: &State) -> Option<&mut u32> {
        Some(match (state, place) {
            (State::Free, Place::Pool) => &mut self.free,
            (State::Free, Place::Reserved(_)) => &mut self.reserved,
            (State::Free, Place::Outside) => return None,
            (State::Offered(_), _) => &mut self.offered,
            (State::Held { closing: false, .. }, _) => &mut self.bound,
            (State::Held { closing: true, .. }, _) => &mut self.closing,
            (State::Quarantined(_), _) => &mut self.quarantined,
        })
    }
}

impl Allocator {
    /// The addresses of `pools` (first and last, both included) and of `reservations`, all free. An entry of the
    /// arena is made for each of them, about 56 octets. An offer is held for `offer_hold`.
    pub fn new(
        pools: &[(Ipv4Addr, Ipv4Addr)],
        reservations: &[(Mac, Ipv4Addr)],
        offer_hold: LeaseSecs,
    ) -> Self {
        let mut allocator = Self {
            arena: Arena::new(pools),
            free: List::EMPTY,
            offers: List::EMPTY,
            clients: HashMap::new(),
            reserved: HashMap::new(),
            due: BTreeSet::new(),
            counts: Counts::default(),
            offer_hold,
        };
        for &(mac, address) in reservations {
            let spot = allocator.arena.find_or_add(address);
            allocator.arena[spot].place = Place::Reserved(mac);
            allocator.reserved.insert(mac, spot);
        }
        for spot in allocator.arena.spots() {
            allocator.enter(spot, State::Free);
        }
        allocator
    }

    /// What is known of an address.
    pub fn holder(&self, address: Ipv4Addr) -> Holder<'_> {
        self.arena.find(address).map_or(Holder::Unknown, |spot| self.holder_at(spot))
    }

    fn holder_at(&self, spot: Spot) -> Holder<'_> {
        let entry = &self.arena[spot];
        match &entry.state {
            State::Free if entry.place == Place::Outside => Holder::Unknown,
            State::Free => Holder::Free { last: entry.last.as_ref() },
            State::Offered(offer) => Holder::Offered { client: &offer.client, until: offer.until },
            State::Held { binding, closing: false } => Holder::Bound(binding),
            State::Held { binding, closing: true } => Holder::Closing(binding),
            State::Quarantined(until) => Holder::Quarantined { until: *until },
        }
    }

    /// What an address is to the network: whether it is anyone's to ask for. A lease at an address that is
    /// reserved for another host holds until its end, but its holder is to be refused at its next renewal.
    pub fn place(&self, address: Ipv4Addr) -> Place {
        self.arena.find(address).map_or(Place::Outside, |spot| self.arena[spot].place)
    }

    /// The address that is reserved for a host.
    pub fn reservation(&self, mac: Mac) -> Option<Ipv4Addr> {
        self.reserved.get(&mac).map(|spot| self.arena[*spot].address)
    }

    /// The record of a client: the address that it has ([`Holder::Bound`], [`Holder::Closing`]) or had last (any
    /// other, since that address may be offered to somebody else meanwhile).
    pub fn record_of(&self, client: &ClientId) -> Option<(Ipv4Addr, Holder<'_>)> {
        let spot = self.claims(client).held?;
        Some((self.arena[spot].address, self.holder_at(spot)))
    }

    /// The lease of a client, bound or closing.
    pub fn binding_of(&self, client: &ClientId) -> Option<(Ipv4Addr, &Binding)> {
        match self.record_of(client)? {
            (address, Holder::Bound(binding) | Holder::Closing(binding)) => Some((address, binding)),
            _ => None,
        }
    }

    /// Every lease, bound or closing: those in the pools in order of their addresses, then the others.
    pub fn bindings(&self) -> impl Iterator<Item = (Ipv4Addr, &Binding)> {
        self.arena.iter().filter_map(|entry| match &entry.state {
            State::Held { binding, .. } => Some((entry.address, &**binding)),
            _ => None,
        })
    }

    /// Every address in quarantine, and when that ends.
    pub fn quarantined(&self) -> impl Iterator<Item = (Ipv4Addr, BootSecs)> {
        self.arena.iter().filter_map(|entry| match &entry.state {
            State::Quarantined(until) => Some((entry.address, *until)),
            _ => None,
        })
    }

    /// How many addresses are in which state.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn claims(&self, client: &ClientId) -> Claims {
        self.clients.get(client).copied().unwrap_or_default()
    }

    /// Changes a client's claims; a client without any is forgotten.
    fn claim(&mut self, client: &ClientId, change: impl FnOnce(&mut Claims)) {
        if let Some(claims) = self.clients.get_mut(client) {
            change(claims);
            if *claims == Claims::default() {
                self.clients.remove(client);
            }
        } else {
            let mut claims = Claims::default();
            change(&mut claims);
            if claims != Claims::default() {
                self.clients.insert(client.clone(), claims);
            }
        }
    }

    /// Puts an entry that is in no list into a state. With [`leave`](Self::leave) the only place where lists and
    /// counts follow the states.
    fn enter(&mut self, spot: Spot, state: State) {
        let place = self.arena[spot].place;
        if let Some(count) = self.counts.of(place, &state) {
            *count += 1;
        }
        match &state {
            State::Free if place == Place::Pool => self.free.push_back(&mut self.arena, spot),
            State::Offered(_) => self.offers.push_back(&mut self.arena, spot),
            State::Quarantined(until) => _ = self.due.insert((*until, spot)),
            State::Free | State::Held { .. } => {}
        }
        self.arena[spot].state = state;
    }

    /// Takes an entry out of its state; [`enter`](Self::enter) follows.
    fn leave(&mut self, spot: Spot) -> State {
        let place = self.arena[spot].place;
        let state = std::mem::replace(&mut self.arena[spot].state, State::Free);
        if let Some(count) = self.counts.of(place, &state) {
            *count -= 1;
        }
        match &state {
            State::Free if place == Place::Pool => self.free.remove(&mut self.arena, spot),
            State::Offered(_) => self.offers.remove(&mut self.arena, spot),
            State::Held { binding, .. } => self.unschedule(spot, binding.due()),
            State::Quarantined(until) => self.unschedule(spot, Some(*until)),
            State::Free => {}
        }
        state
    }

    fn unschedule(&mut self, spot: Spot, due: Option<BootSecs>) {
        if let Some(at) = due {
            self.due.remove(&(at, spot));
        }
    }
}
