//! The fixed part of a DHCP message, RFC 2131 §2 figure 1, and its cookie.

use crate::abi::{Ip, Mac};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, network_endian::U16};

/// `op` of a message from a client.
pub const BOOTREQUEST: u8 = 1;
/// `op` of a message to a client.
pub const BOOTREPLY: u8 = 2;
/// `htype` of Ethernet.
pub const HTYPE_ETHERNET: u8 = 1;
/// `hlen` of Ethernet.
pub const HLEN_ETHERNET: u8 = 6;
/// RFC 2131 §3: the first four octets of the options field.
pub const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// RFC 2131 §2: the leftmost bit of `flags`: answer by broadcast.
pub const FLAG_BROADCAST: u16 = 0x8000;
/// RFC 951 §3: a BOOTP message has at least 300 octets, and relays and clients exist that drop shorter ones.
pub const MESSAGE_MIN: usize = 300;

/// A DHCP message up to its first option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// [`BOOTREQUEST`] or [`BOOTREPLY`].
    pub op: u8,
    /// Type of hardware address.
    pub htype: u8,
    /// Octets of hardware address.
    pub hlen: u8,
    /// Relays that it came through.
    pub hops: u8,
    /// The client's transaction, echoed as it is.
    pub xid: [u8; 4],
    /// Seconds since the client began.
    pub secs: U16,
    /// [`FLAG_BROADCAST`]; the rest is reserved.
    pub flags: U16,
    /// The client's address, where it has one and can answer ARP for it.
    pub ciaddr: Ip,
    /// The address that the client gets.
    pub yiaddr: Ip,
    /// The next server in bootstrap.
    pub siaddr: Ip,
    /// The relay's address.
    pub giaddr: Ip,
    /// The client's hardware address in its first six octets.
    pub chaddr: [u8; 16],
    /// Server host name, or options (overload).
    pub sname: [u8; 64],
    /// Boot file name, or options (overload).
    pub file: [u8; 128],
    /// [`COOKIE`].
    pub cookie: [u8; 4],
}

impl Header {
    /// Whether this is a client's message, from Ethernet, with DHCP's cookie.
    #[inline(always)]
    pub fn is_request(&self) -> bool {
        self.op == BOOTREQUEST
            && self.htype == HTYPE_ETHERNET
            && self.hlen == HLEN_ETHERNET
            && self.cookie == COOKIE
    }

    /// `chaddr` as the Ethernet address that it is.
    #[inline(always)]
    pub const fn mac(&self) -> Mac {
        let [a, b, c, d, e, f, ..] = self.chaddr;
        Mac([a, b, c, d, e, f])
    }

    /// Whether the client asks for its answer by broadcast.
    #[inline(always)]
    pub const fn wants_broadcast(&self) -> bool {
        self.flags.get() & FLAG_BROADCAST != 0
    }
}
