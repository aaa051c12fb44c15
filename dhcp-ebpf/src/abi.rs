//! The map ABI: what user space and the XDP program say to each other. Owns the shape of every map's key and
//! value; knows nothing of how they are loaded, looked up or filled.
//!
//! A change here is another [`ABI_VERSION`]. Integers are the host's unless a type says otherwise.
//!
//! | map | kind | key ▶ value | written by |
//! |---|---|---|---|
//! | `LINKS` | hash | [`LinkKey`] ▶ [`Link`] | user space |
//! | `RELAYS` | LPM trie | [`RelayKey`] ▶ `u32` network id | user space |
//! | `NETWORKS` | array | network id ▶ [`Network`] | user space |
//! | `CLASSES` | array | network id ▶ [`Classes`] | user space |
//! | `LEASES` | hash | [`LeaseKey`] ▶ [`LeaseRef`] | user space |
//! | `SLOTS` | mmapable array | slot index ▶ [`Slot`] | each word by one side |
//! | `SIDE` | hash | [`SideKey`] ▶ [`SideValue`] | user space |
//! | `TEMPLATES` | array | template id ▶ [`Template`] | user space, once |
//! | `SHAPES` | hash | [`ShapeKey`] ▶ `u32` template id | user space |
//! | `COUNTERS` | per-CPU array | [`Reason`](crate::reason::Reason) ▶ `u64` | the kernel |

mod slot;

pub use slot::{
    Bounds, Control, IDENTITY_CHADDR, IDENTITY_MAX, IDENTITY_OPTION, NO_PROFILE, NO_TEMPLATE, Promise, Slot,
};

use core::{fmt, net::Ipv4Addr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version of everything in this file.
pub const ABI_VERSION: u32 = 1;

/// An IPv4 address as it stands on the wire (network byte order).
#[derive(
    Clone, Copy, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct Ip(pub [u8; 4]);

impl Ip {
    /// 0.0.0.0
    pub const ZERO: Self = Self([0; 4]);
    /// 255.255.255.255
    pub const BROADCAST: Self = Self([255; 4]);

    /// Whether this is 0.0.0.0, which BOOTP's address fields use for "none".
    #[inline(always)]
    pub const fn is_zero(self) -> bool {
        u32::from_ne_bytes(self.0) == 0
    }
}

impl From<Ipv4Addr> for Ip {
    fn from(address: Ipv4Addr) -> Self {
        Self(address.octets())
    }
}

impl From<Ip> for Ipv4Addr {
    fn from(address: Ip) -> Self {
        Self::from(address.0)
    }
}

impl fmt::Debug for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Ipv4Addr::from(*self), f)
    }
}

/// An Ethernet address as it stands on the wire.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// ff:ff:ff:ff:ff:ff
    pub const BROADCAST: Self = Self([255; 6]);

    /// Whether one host alone is meant: neither the group bit (IEEE 802) nor all zero.
    #[inline(always)]
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Seconds of the boot clock (CLOCK_BOOTTIME): the only clock that counts within one boot.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(transparent)]
pub struct BootSecs(pub u32);

impl BootSecs {
    /// The end of an infinite lease.
    pub const NEVER: Self = Self(u32::MAX);

    /// The whole second that has begun at `ns` nanoseconds of the boot clock: rounded down, for checks.
    #[inline(always)]
    pub const fn begun(ns: u64) -> Self {
        Self((ns / 1_000_000_000) as u32)
    }

    /// The first whole second not before `ns` nanoseconds of the boot clock: rounded up, for promises.
    #[inline(always)]
    pub const fn reached(ns: u64) -> Self {
        Self((ns / 1_000_000_000) as u32 + 1)
    }

    /// The end of a lease of `lease` that starts here. Infinite leases never end, and no other reaches that end.
    #[inline(always)]
    pub const fn plus(self, lease: LeaseSecs) -> Self {
        if lease.0 == LeaseSecs::INFINITE.0 {
            return Self::NEVER;
        }
        match self.0.checked_add(lease.0) {
            Some(end) if end < Self::NEVER.0 => Self(end),
            _ => Self(Self::NEVER.0 - 1),
        }
    }
}

/// A length of time in seconds, as option 51 says it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(transparent)]
pub struct LeaseSecs(pub u32);

impl LeaseSecs {
    /// RFC 2131 §3.3: 0xffffffff is "infinity".
    pub const INFINITE: Self = Self(u32::MAX);
}

/// One VLAN tag of a [`LinkKey`]: its identifier with [`Tag::PRESENT`], or 0 where there is no such tag.
pub type Tag = u16;

/// Says in a [`Tag`] that the tag is there, so that VLAN 0 (a priority tag) differs from no tag.
pub const TAG_PRESENT: Tag = 0x1000;

/// Where a frame came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LinkKey {
    /// The kernel's index of the interface that XDP runs on.
    pub ifindex: u32,
    /// The outer VLAN tag.
    pub outer: Tag,
    /// The inner VLAN tag.
    pub inner: Tag,
}

/// How many addresses of its own a link can have.
pub const LINK_ADDRESSES: usize = 4;

/// A link that is served: an interface, with or without VLAN tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Link {
    /// The network whose clients sit on this link, and the index of its entries in `NETWORKS` and `CLASSES`.
    pub network: u32,
    /// `LINK_*` flags.
    pub flags: u16,
    /// The link's MTU: no reply is longer, in octets of the IP datagram.
    pub mtu: u16,
    /// Our own addresses there, the first of them the default server identifier; unused ones are 0.0.0.0.
    pub addresses: [Ip; LINK_ADDRESSES],
    /// The directed broadcast of each of [`addresses`](Self::addresses).
    pub broadcasts: [Ip; LINK_ADDRESSES],
    /// Our hardware address there.
    pub mac: Mac,
    /// Zero.
    pub reserved: [u8; 2],
}

/// Datagrams may arrive here with the pseudo-header's sum as their UDP checksum: the sender left the rest to
/// hardware that a virtual link does not have (veth in native mode). Never in generic mode, where the socket
/// buffer keeps its checksum state and would corrupt a rewritten frame on its way out.
pub const LINK_UNFINISHED_CHECKSUMS: u16 = 1 << 0;
/// Option 82 is believed here although `giaddr` is 0.
pub const LINK_TRUSTED: u16 = 1 << 1;

/// A relay's network: the longest prefix that holds its `giaddr` (or the address of option 82.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RelayKey {
    /// Leading bits that count, as the kernel's LPM trie wants them.
    pub prefix_len: u32,
    /// The address.
    pub address: Ip,
}

/// Where an address is unique: one or more subnets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Network {
    /// The states of RFC 2131 that the kernel may answer here: `NETWORK_*` flags.
    pub answers: u32,
    /// The configuration that counts: a template of another epoch answers nobody. This word switches a reload.
    pub epoch: u32,
}

/// The kernel may answer RENEWING.
pub const NETWORK_RENEWING: u32 = 1 << 0;
/// The kernel may answer REBINDING.
pub const NETWORK_REBINDING: u32 = 1 << 1;
/// The kernel may answer INIT-REBOOT.
pub const NETWORK_INIT_REBOOT: u32 = 1 << 2;
/// The kernel may answer SELECTING.
pub const NETWORK_SELECTING: u32 = 1 << 3;

/// What an option of a request means to a network, by its code. Compiled from the configuration and from what
/// the slow path reads; the kernel's decision knows no option by itself but those that make a message a
/// message (50, 51, 53, 54, 57).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Classes(pub [u8; 256]);

/// Nothing in the slow path reads this option.
pub const CLASS_IGNORED: u8 = 0;
/// Part of the shape of the reply: compared, in packet order, with what the template was made for.
pub const CLASS_SELECTOR: u8 = 1;
/// The client identifier (61): the lease's identity, echoed.
pub const CLASS_IDENTITY: u8 = 2;
/// The relay agent information (82): echoed last.
pub const CLASS_ECHOED: u8 = 3;
/// Stored with the lease: compared with the stored bytes.
pub const CLASS_COMPARED: u8 = 4;
/// Only user space understands it.
pub const CLASS_PASS: u8 = 5;

/// An address of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LeaseKey {
    /// The network's id.
    pub network: u32,
    /// The leased address.
    pub address: Ip,
}

/// The slot that holds an address's lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LeaseRef {
    /// Index into `SLOTS`.
    pub slot: u32,
    /// The slot's [`Control::generation`] at publication: another one there means another lease.
    pub generation: u32,
}

/// Bytes of a lease that its slot has no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SideKey {
    /// Index into `SLOTS`.
    pub slot: u32,
    /// Code of the option whose bytes these are.
    pub code: u32,
}

/// An option's value, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SideValue {
    /// Octets that count.
    pub len: u8,
    /// The value, zero behind its length.
    pub bytes: [u8; 255],
}

/// The longest selector bytes (codes, lengths and values together) that a template can be made for.
pub const SELECTORS_MAX: usize = 128;
/// The longest BOOTP message that a template holds, its END and padding not counted.
pub const BODY_MAX: usize = 1024;

/// A reply but for what differs from client to client: immutable from the moment its id is published.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct Template {
    /// The [`Network::epoch`] that it was made in.
    pub epoch: u32,
    /// The one word that both option 51 and the added time come from.
    pub lease: LeaseSecs,
    /// The profile (network and set of options) that it was made for.
    pub profile: u32,
    /// Octets of [`body`](Self::body) that count.
    pub body_len: u16,
    /// Octets of [`selectors`](Self::selectors) that count.
    pub selectors_len: u16,
    /// Where in the body option 54's value stands; 0 where there is no option 54.
    pub server_id_at: u16,
    /// Where in the body option 51's value stands; 0 where there is no option 51.
    pub lease_at: u16,
    /// The selector options of the requests that it answers: code, length, value, in packet order.
    pub selectors: [u8; SELECTORS_MAX],
    /// The BOOTP message from `op` on: header, cookie, options, without END.
    pub body: [u8; BODY_MAX],
    /// Zero.
    pub reserved: [u8; 4],
}

/// Finds the template of a request whose slot has another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ShapeKey {
    /// Hash of the selector bytes ([`Selectors::hash`](crate::shape::Selectors::hash)): it finds, it never decides.
    pub hash: u64,
    /// The profile.
    pub profile: u32,
    /// The epoch.
    pub epoch: u32,
}

const _: () = {
    assert!(size_of::<Link>() == 48);
    assert!(size_of::<Template>() == 24 + SELECTORS_MAX + BODY_MAX);
    assert!(size_of::<SideValue>() == 256);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_round_up_and_checks_round_down() {
        assert_eq!(BootSecs::begun(1_999_999_999), BootSecs(1));
        assert_eq!(BootSecs::reached(1_000_000_001), BootSecs(2));
    }

    #[test]
    fn only_an_infinite_lease_never_ends() {
        assert_eq!(BootSecs(5).plus(LeaseSecs::INFINITE), BootSecs::NEVER);
        assert_eq!(BootSecs(5).plus(LeaseSecs(10)), BootSecs(15));
        assert_eq!(BootSecs(u32::MAX - 3).plus(LeaseSecs(3)), BootSecs(u32::MAX - 1));
        assert_eq!(BootSecs(u32::MAX - 3).plus(LeaseSecs(60)), BootSecs(u32::MAX - 1));
    }
}
