//! The allocator's memory: every address of a network in one arena, with the two lists that run through it.
//! Owns the shape of an entry and where an address is found; must not decide who gets one.

use super::Binding;
use crate::identity::ClientId;
use dhcp_ebpf::abi::{BootSecs, Mac};
use std::{
    collections::HashMap,
    net::Ipv4Addr,
    ops::{Index, IndexMut},
};

/// An entry's place in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spot(u32);

impl Spot {
    const NONE: Self = Self(u32::MAX);

    fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

/// What an address is to its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a pool: anyone may get it.
    Pool,
    /// Reserved for one hardware address, in a pool or not.
    Reserved(Mac),
    /// Neither. A lease that was made there before a change of the configuration holds on; no other is made.
    Outside,
}

/// An address and what is known of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) address: Ipv4Addr,
    pub(super) place: Place,
    prev: Spot,
    next: Spot,
    /// Who had it last and gets it again, as long as nobody else was bound to it since. None while bound.
    pub(super) last: Option<ClientId>,
    pub(super) state: State,
}

/// An entry's state. What only a held address needs is boxed: most of a large pool is free.
#[derive(Debug)]
pub(super) enum State {
    Free,
    Offered(Box<Offer>),
    Held { binding: Box<Binding>, closing: bool },
    Quarantined(BootSecs),
}

/// An address that a client was offered and has not asked for yet.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) client: ClientId,
    pub(super) until: BootSecs,
}

/// All entries of a network: those of the pools stand in order of their addresses, all others behind them.
#[derive(Debug, Default)]
pub(super) struct Arena {
    entries: Vec<Entry>,
    /// The pools, in order, disjoint: first address, last address, and the first one's place.
    pools: Vec<(u32, u32, u32)>,
    /// The others.
    others: HashMap<Ipv4Addr, Spot>,
}

impl Arena {
    /// An arena of the pools' addresses. Pools that overlap are one; a pool that ends before it begins is none.
    pub(super) fn new(pools: &[(Ipv4Addr, Ipv4Addr)]) -> Self {
        let mut ranges: Vec<_> =
            pools.iter().map(|(first, last)| (first.to_bits(), last.to_bits())).collect();
        ranges.retain(|(first, last)| first <= last);
        ranges.sort_unstable();
        let mut arena = Self::default();
        for (first, last) in ranges {
            let first = match arena.pools.last() {
                Some((_, before, _)) if *before >= last => continue,
                Some((_, before, _)) => first.max(before + 1),
                None => first,
            };
            arena.pools.push((first, last, arena.entries.len() as u32));
            for bits in first..=last {
                arena.push(Ipv4Addr::from_bits(bits), Place::Pool);
            }
        }
        arena
    }

    fn push(&mut self, address: Ipv4Addr, place: Place) -> Spot {
        let spot = Spot(self.entries.len() as u32);
        let (prev, next) = (Spot::NONE, Spot::NONE);
        self.entries.push(Entry { address, place, prev, next, last: None, state: State::Free });
        spot
    }

    /// Where an address is, if it is known.
    pub(super) fn find(&self, address: Ipv4Addr) -> Option<Spot> {
        let bits = address.to_bits();
        let after = self.pools.partition_point(|(first, ..)| *first <= bits);
        let pool = after.checked_sub(1).and_then(|index| self.pools.get(index));
        match pool {
            Some((first, last, spot)) if bits <= *last => Some(Spot(spot + (bits - first))),
            _ => self.others.get(&address).copied(),
        }
    }

    /// Where an address is, made known as one [`Place::Outside`] if it is not.
    pub(super) fn find_or_add(&mut self, address: Ipv4Addr) -> Spot {
        self.find(address).unwrap_or_else(|| {
            let spot = self.push(address, Place::Outside);
            self.others.insert(address, spot);
            spot
        })
    }

    /// Every entry, in the arena's order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Every place, in the arena's order.
    pub(super) fn spots(&self) -> impl Iterator<Item = Spot> + use<> {
        (0..self.entries.len() as u32).map(Spot)
    }
}

impl Index<Spot> for Arena {
    type Output = Entry;

    fn index(&self, spot: Spot) -> &Entry {
        &self.entries[spot.0 as usize]
    }
}

impl IndexMut<Spot> for Arena {
    fn index_mut(&mut self, spot: Spot) -> &mut Entry {
        &mut self.entries[spot.0 as usize]
    }
}

/// A list of entries through their own links. An entry is in one list at most.
#[derive(Debug)]
pub(super) struct List {
    head: Spot,
    tail: Spot,
}

impl List {
    pub(super) const EMPTY: Self = Self { head: Spot::NONE, tail: Spot::NONE };

    pub(super) fn first(&self) -> Option<Spot> {
        self.head.some()
    }

    pub(super) fn push_back(&mut self, arena: &mut Arena, spot: Spot) {
        self.link(arena, self.tail, spot, Spot::NONE);
    }

    pub(super) fn push_front(&mut self, arena: &mut Arena, spot: Spot) {
        self.link(arena, Spot::NONE, spot, self.head);
    }

    /// Takes out an entry that is in this list.
    pub(super) fn remove(&mut self, arena: &mut Arena, spot: Spot) {
        let Entry { prev, next, .. } = arena[spot];
        self.join(arena, prev, next);
    }

    fn link(&mut self, arena: &mut Arena, prev: Spot, spot: Spot, next: Spot) {
        self.join(arena, prev, spot);
        self.join(arena, spot, next);
    }

    /// Makes two entries neighbours; none is the list's end.
    fn join(&mut self, arena: &mut Arena, prev: Spot, next: Spot) {
        match prev.some() {
            Some(prev) => arena[prev].next = next,
            None => self.head = next,
        }
        match next.some() {
            Some(next) => arena[next].prev = prev,
            None => self.tail = prev,
        }
    }

    /// The entries from first to last, each seen to point back at the one before.
    #[cfg(test)]
    pub(super) fn iter<'a>(&'a self, arena: &'a Arena) -> impl Iterator<Item = Spot> + use<'a> {
        let mut before = Spot::NONE;
        std::iter::from_fn(move || {
            let next = if before == Spot::NONE { self.head } else { arena[before].next };
            match next.some() {
                Some(spot) => assert_eq!(arena[spot].prev, before, "a link back"),
                None => assert_eq!(self.tail, before, "the last one"),
            }
            before = next;
            next.some()
        })
    }
}
