//! Views of what is on the wire: one file a protocol, fields under the RFCs' own names, byte order in the
//! types. Owns where each field stands; decides nothing about what it says.

pub mod dhcp;
pub mod ethernet;
pub mod ipv4;
pub mod options;
pub mod udp;

use core::hint::black_box;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The longest IP datagram that either path reads or writes, in octets: an Ethernet frame's and a little more.
pub const DATAGRAM_MAX: usize = 1536;

/// Octets of a [`Datagram`] before its options.
pub const OPTIONS_AT: usize =
    size_of::<ipv4::Header>() + size_of::<udp::Header>() + size_of::<dhcp::Header>();

/// Octets of a [`Datagram`] before its BOOTP message.
pub const DHCP_AT: usize = size_of::<ipv4::Header>() + size_of::<udp::Header>();

/// The most octets that options can take.
pub const OPTIONS_MAX: usize = DATAGRAM_MAX - OPTIONS_AT;

/// An IP datagram with a DHCP message, in a buffer of its own: the view of a message as well as its storage.
///
/// It has this layout only where the IP header carries no options; whoever reads it has asked
/// [`ipv4::Header::is_plain`] first. Its length stands beside it, and what lies behind that length is
/// whatever was there before.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct Datagram {
    /// IPv4, RFC 791.
    pub ip: ipv4::Header,
    /// UDP, RFC 768.
    pub udp: udp::Header,
    /// BOOTP's fixed fields and DHCP's cookie, RFC 2131 §2.
    pub dhcp: dhcp::Header,
    /// The options, RFC 2132.
    pub options: [u8; OPTIONS_MAX],
}

impl Datagram {
    /// A datagram of zeroes.
    pub const fn zeroed() -> Self {
        zerocopy::transmute!([[0u8; 8]; DATAGRAM_MAX / 8])
    }

    /// A copy of `bytes`, an IP datagram from its first octet on, with zeroes behind it. None where it is too long.
    pub fn copy_of(bytes: &[u8]) -> Option<Self> {
        let mut datagram = Self::zeroed();
        datagram.as_mut_bytes().get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(datagram)
    }
}

const _: () = assert!(size_of::<Datagram>() == DATAGRAM_MAX && OPTIONS_AT == 268);

/// Where an option's value stands among the options, and how long it is. A length of 0: it is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Span {
    /// Octets from the first option's code to the value.
    pub at: u16,
    /// Octets of the value.
    pub len: u16,
}

impl Span {
    /// Whether the option is there.
    #[inline(always)]
    pub const fn is_there(self) -> bool {
        self.len != 0
    }

    /// The value in the options that it was found in; empty where the span lies outside of them.
    pub fn of(self, options: &[u8]) -> &[u8] {
        let at = usize::from(self.at);
        options.get(at..at + usize::from(self.len)).unwrap_or_default()
    }
}

/// A value read anew from memory. The bound of a loop is read so: leaving the loop tells the verifier what the
/// bound was, and were it to know the same of a value that is still needed, it would follow the rest of the
/// program once for each length that there is. Map memory it knows nothing about.
#[inline(always)]
pub fn fresh<T: Copy>(value: &T) -> T {
    *black_box(value)
}

/// The octet at an index that is known at run time only. LLVM would check such an index in one register and
/// use it from another; the box keeps it in the one that the verifier has seen checked.
#[inline(always)]
pub fn octet<const N: usize>(octets: &[u8; N], index: usize) -> Option<u8> {
    octets.get(black_box(index)).copied()
}

/// The place of [`octet`], for writing.
#[inline(always)]
pub fn octet_mut<const N: usize>(octets: &mut [u8; N], index: usize) -> Option<&mut u8> {
    octets.get_mut(black_box(index))
}
