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

#[cfg(test)]
mod tests {
    use super::*;

    /// A head with these octets from the first tag or EtherType on, and a UDP header to `port` behind IPv4.
    fn head(types: &[u8], protocol: u8, port: u16) -> [u8; HEAD_LEN] {
        let mut head = [0; HEAD_LEN];
        head[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        head[12..12 + types.len()].copy_from_slice(types);
        let ip = 12 + types.len();
        head[ip + 9] = protocol;
        head[ip + 22..ip + 24].copy_from_slice(&port.to_be_bytes());
        head
    }

    #[test]
    fn tags_are_told_from_none_and_from_each_other() {
        let table: [(&[u8], _); 5] = [
            (&[8, 0], Some((14, 0, 0))),
            (&[0x81, 0, 0xe0, 0x64, 8, 0], Some((18, TAG_PRESENT | 100, 0))),
            (&[0x81, 0, 0, 0, 8, 0], Some((18, TAG_PRESENT, 0))),
            (&[0x88, 0xa8, 0, 200, 0x81, 0, 0, 100, 8, 0], Some((22, TAG_PRESENT | 200, TAG_PRESENT | 100))),
            (&[0x86, 0xdd], None),
        ];
        for (types, expected) in table {
            let found = Ethernet::of_dhcp(&head(types, 17, 67));
            assert_eq!(found.map(|found| (found.len, found.outer, found.inner)), expected, "{types:?}");
        }
    }

    #[test]
    fn other_traffic_is_not_dhcp() {
        assert_eq!(Ethernet::of_dhcp(&head(&[8, 0], 6, 67)), None, "TCP");
        assert_eq!(Ethernet::of_dhcp(&head(&[8, 0], 17, 68)), None, "to a client");
    }

    #[test]
    fn addresses_are_put_and_tags_stay() {
        let mut header = [7; HEADER_MAX];
        address(&mut header, Mac::BROADCAST, Mac([1, 2, 3, 4, 5, 6]));
        assert_eq!(header[..12], [255, 255, 255, 255, 255, 255, 1, 2, 3, 4, 5, 6]);
        assert_eq!(header[12..], [7; 10]);
    }
}
