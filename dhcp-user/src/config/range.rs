//! Ranges of IPv4 addresses.

use ipnet::Ipv4Net;
use std::{fmt, net::Ipv4Addr};

/// The addresses from `first` to `last`, both included; `first` is not behind `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    /// The lowest address.
    pub first: Ipv4Addr,
    /// The highest address.
    pub last: Ipv4Addr,
}

impl AddressRange {
    /// Every address of a prefix, its network and broadcast address too.
    pub fn of(prefix: Ipv4Net) -> Self {
        Self { first: prefix.network(), last: prefix.broadcast() }
    }

    /// How many addresses there are: at least one.
    pub fn count(self) -> u64 {
        u64::from(u32::from(self.last) - u32::from(self.first)) + 1
    }

    /// Whether `address` is one of them.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// Whether the two have an address in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// What is left of it, in order, when `address` is taken out.
    pub(super) fn without(self, address: Ipv4Addr) -> impl Iterator<Item = Self> {
        let below = if self.contains(address) { below(address) } else { Some(self.last) };
        let above = if self.contains(address) { above(address) } else { None };
        let low = below.map(|last| Self { last, ..self });
        let high = above.map(|first| Self { first, ..self });
        [low, high].into_iter().flatten().filter(|range| range.first <= range.last)
    }
}

fn below(address: Ipv4Addr) -> Option<Ipv4Addr> {
    u32::from(address).checked_sub(1).map(Ipv4Addr::from)
}

fn above(address: Ipv4Addr) -> Option<Ipv4Addr> {
    u32::from(address).checked_add(1).map(Ipv4Addr::from)
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: [u8; 4], last: [u8; 4]) -> AddressRange {
        AddressRange { first: first.into(), last: last.into() }
    }

    #[test]
    fn an_address_is_taken_out() {
        let all = range([10, 0, 0, 1], [10, 0, 0, 9]);
        let without = |address: [u8; 4]| all.without(address.into()).collect::<Vec<_>>();
        assert_eq!(without([10, 0, 0, 1]), [range([10, 0, 0, 2], [10, 0, 0, 9])]);
        assert_eq!(without([10, 0, 0, 9]), [range([10, 0, 0, 1], [10, 0, 0, 8])]);
        assert_eq!(
            without([10, 0, 0, 5]),
            [range([10, 0, 0, 1], [10, 0, 0, 4]), range([10, 0, 0, 6], [10, 0, 0, 9])]
        );
        assert_eq!(without([10, 0, 0, 10]), [all]);
    }

    #[test]
    fn the_last_address_leaves_nothing() {
        for address in [[0; 4], [10, 0, 0, 1], [255; 4]] {
            assert_eq!(range(address, address).without(address.into()).count(), 0);
        }
    }

    #[test]
    fn ends_are_included() {
        let range = range([0; 4], [255; 4]);
        assert_eq!(range.count(), 1 << 32);
        assert!(range.contains([0; 4].into()) && range.contains([255; 4].into()));
    }
}
