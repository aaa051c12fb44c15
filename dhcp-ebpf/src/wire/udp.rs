//! The UDP header, RFC 768.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, network_endian::U16};

/// The port that DHCP servers and relays listen on.
pub const PORT_SERVER: u16 = 67;
/// The port that DHCP clients listen on.
pub const PORT_CLIENT: u16 = 68;

/// A UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// Source port.
    pub source: U16,
    /// Destination port.
    pub destination: U16,
    /// Octets of header and payload.
    pub len: U16,
    /// Checksum of pseudo-header, header and payload, as it stands on the wire; zero: none was made.
    pub checksum: [u8; 2],
}
