//! The Ethernet header with up to two VLAN tags (IEEE 802.3, 802.1Q, 802.1ad), and the first look at a frame:
//! whether it can be DHCP for a server at all.

use super::{ipv4::PROTOCOL_UDP, udp::PORT_SERVER};
use crate::abi::{Mac, TAG_PRESENT, Tag};

/// EtherType of IPv4.
pub const TYPE_IPV4: u16 = 0x0800;
/// EtherType of an 802.1Q tag.
pub const TYPE_VLAN: u16 = 0x8100;
/// EtherType of an 802.1ad service tag.
pub const TYPE_SERVICE_VLAN: u16 = 0x88a8;
/// The twelve bits of a tag that are the VLAN's identifier; the others are priority.
pub const VLAN_ID: u16 = 0x0fff;

/// Octets of a header without tags.
pub const UNTAGGED_LEN: usize = 14;
/// Octets of a header with two tags.
pub const HEADER_MAX: usize = 22;
/// Octets that [`Ethernet::of_dhcp`] looks at: two tags, an IP header and a UDP header. No DHCP message is shorter.
pub const HEAD_LEN: usize = HEADER_MAX + 20 + 8;

/// An Ethernet header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination.
    pub destination: Mac,
    /// Source.
    pub source: Mac,
    /// The outer tag.
    pub outer: Tag,
    /// The inner tag.
    pub inner: Tag,
    /// Octets of the header, tags included.
    pub len: usize,
}

impl Ethernet {
    /// The header of a frame that holds IPv4, UDP to port 67 and no IP options; None for any other. This is
    /// the only look that a frame of other traffic gets.
    #[inline(always)]
    pub fn of_dhcp(head: &[u8; HEAD_LEN]) -> Option<Self> {
        let be16 =
            |at: usize| -> Option<u16> { Some(u16::from_be_bytes([*head.get(at)?, *head.get(at + 1)?])) };
        let is_tag = |ethertype: u16| ethertype == TYPE_VLAN || ethertype == TYPE_SERVICE_VLAN;
        let tag = |at: usize| -> Option<Tag> { Some(be16(at)? & VLAN_ID | TAG_PRESENT) };
        let is_dhcp = |len: usize| -> Option<bool> {
            Some(
                be16(len - 2)? == TYPE_IPV4
                    && *head.get(len + 9)? == PROTOCOL_UDP
                    && be16(len + 22)? == PORT_SERVER,
            )
        };

        let (len, outer, inner) = if !is_tag(be16(12)?) {
            (UNTAGGED_LEN, 0, 0)
        } else if !is_tag(be16(16)?) {
            (18, tag(14)?, 0)
        } else {
            (HEADER_MAX, tag(14)?, tag(18)?)
        };
        let dhcp = match len {
            UNTAGGED_LEN => is_dhcp(UNTAGGED_LEN)?,
            18 => is_dhcp(18)?,
            _ => is_dhcp(HEADER_MAX)?,
        };
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, ..] = *head;
        dhcp.then_some(Self {
            destination: Mac([d0, d1, d2, d3, d4, d5]),
            source: Mac([s0, s1, s2, s3, s4, s5]),
            outer,
            inner,
            len,
        })
    }
}

/// Puts both addresses into a header; its tags stay.
#[inline(always)]
pub const fn address(header: &mut [u8; HEADER_MAX], destination: Mac, source: Mac) {
    let Some(addresses) = header.first_chunk_mut::<12>() else { return };
    let ([d0, d1, d2, d3, d4, d5], [s0, s1, s2, s3, s4, s5]) = (destination.0, source.0);
    *addresses = [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5];
}
