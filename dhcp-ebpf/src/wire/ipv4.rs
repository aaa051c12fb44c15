//! The IPv4 header, RFC 791, of a datagram without IP options.

use crate::abi::Ip;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    network_endian::{U16, U32},
};

/// The protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;
/// Version 4 and five words of header: no IP options.
pub const VERSION_IHL: u8 = 0x45;
/// Don't fragment.
pub const DONT_FRAGMENT: u16 = 0x4000;
/// "More fragments" and the fragment's offset: a whole datagram has neither.
pub const FRAGMENT: u16 = 0x3fff;

/// An IPv4 header of 20 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// Version and header length in words.
    pub version_ihl: u8,
    /// Type of service.
    pub tos: u8,
    /// Octets of the datagram, header included.
    pub total_len: U16,
    /// Identification of fragments.
    pub id: U16,
    /// Flags and fragment offset.
    pub fragment: U16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Header checksum, as it stands on the wire.
    pub checksum: [u8; 2],
    /// Source address.
    pub source: Ip,
    /// Destination address.
    pub destination: Ip,
}

impl Header {
    /// Whether this is IPv4 with a header of exactly 20 octets.
    #[inline(always)]
    pub const fn is_plain(&self) -> bool {
        self.version_ihl == VERSION_IHL
    }

    /// Whether this is a part of a datagram only.
    #[inline(always)]
    pub const fn is_fragment(&self) -> bool {
        self.fragment.get() & FRAGMENT != 0
    }

    /// The header's five words, for its checksum.
    #[inline(always)]
    pub const fn words(&self) -> [U32; 5] {
        zerocopy::transmute!(*self)
    }
}
