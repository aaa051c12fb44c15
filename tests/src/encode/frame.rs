//! Ethernet, VLAN tags, IPv4 and UDP around a payload. Owns the headers' bytes (RFC 894, IEEE 802.1Q, RFC 791,
//! RFC 768); faults are made by fields that say so, or by editing the encoded bytes at the offsets given here.

use std::net::Ipv4Addr;

use super::{BROADCAST_MAC, Mac, Message, internet_checksum, udp_checksum, udp_pseudo_header_sum};

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
const ETHERTYPE_IPV4: u16 = 0x0800;
const PROTOCOL_UDP: u8 = 17;
const DONT_FRAGMENT: u16 = 0x4000;

/// One VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// 0x8100 (802.1Q) or 0x88a8 (802.1ad).
    pub tpid: u16,
    /// Priority, drop eligibility and VLAN identifier.
    pub tci: u16,
}

/// What stands in the UDP checksum field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpChecksum {
    /// The right one.
    Right,
    /// Zero: the sender made none.
    None,
    /// Off by one bit.
    Wrong,
    /// The pseudo-header's sum: the sender left the rest to hardware.
    PseudoHeader,
}

/// A UDP datagram in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Destination.
    pub dst_mac: Mac,
    /// Source.
    pub src_mac: Mac,
    /// Tags, the outer one first.
    pub tags: Vec<VlanTag>,
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// Flags and fragment offset as the header has them.
    pub fragment: u16,
    /// Time to live.
    pub ttl: u8,
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// IP options, a multiple of four octets.
    pub ip_options: Vec<u8>,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// UDP checksum.
    pub udp_checksum: UdpChecksum,
    /// What the datagram carries.
    pub payload: Vec<u8>,
    /// Octets behind the datagram: Ethernet padding, which need not be zero.
    pub trailer: Vec<u8>,
}

impl Frame {
    /// A client's datagram from 0.0.0.0 to everyone.
    #[must_use]
    pub fn broadcast(src_mac: Mac, message: &Message) -> Self {
        Self {
            dst_mac: BROADCAST_MAC,
            src_mac,
            tags: Vec::new(),
            tos: 0,
            id: 0,
            fragment: 0,
            ttl: 64,
            src: Ipv4Addr::UNSPECIFIED,
            dst: Ipv4Addr::BROADCAST,
            ip_options: Vec::new(),
            src_port: CLIENT_PORT,
            dst_port: SERVER_PORT,
            udp_checksum: UdpChecksum::Right,
            payload: message.encode(),
            trailer: Vec::new(),
        }
    }

    /// A client's datagram from its address to one server.
    #[must_use]
    pub fn unicast(src_mac: Mac, src: Ipv4Addr, dst_mac: Mac, dst: Ipv4Addr, message: &Message) -> Self {
        Self { dst_mac, src, dst, fragment: DONT_FRAGMENT, ..Self::broadcast(src_mac, message) }
    }

    /// A server's datagram, as DESIGN's reply rules have it: TTL 64, IP ID 0, DF, both checksums right.
    #[must_use]
    pub fn reply(src_mac: Mac, src: Ipv4Addr, dst_mac: Mac, dst: Ipv4Addr, message: &Message) -> Self {
        Self {
            src_port: SERVER_PORT,
            dst_port: CLIENT_PORT,
            ..Self::unicast(src_mac, src, dst_mac, dst, message)
        }
    }

    /// Where the IP header begins in the encoded frame.
    #[must_use]
    pub fn ip_at(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    /// Where the UDP header begins in the encoded frame.
    #[must_use]
    pub fn udp_at(&self) -> usize {
        self.ip_at() + 20 + self.ip_options.len()
    }

    /// Where the payload begins in the encoded frame.
    #[must_use]
    pub fn payload_at(&self) -> usize {
        self.udp_at() + 8
    }

    /// The frame's bytes, without its frame check sequence.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.dst_mac);
        bytes.extend(self.src_mac);
        for tag in &self.tags {
            bytes.extend(tag.tpid.to_be_bytes());
            bytes.extend(tag.tci.to_be_bytes());
        }
        bytes.extend(ETHERTYPE_IPV4.to_be_bytes());
        bytes.extend(self.ip_header());
        bytes.extend(self.datagram());
        bytes.extend(&self.trailer);
        bytes
    }

    /// The encoded frame after an edit of its IP header, with that header's checksum right again.
    #[must_use]
    pub fn encode_with_ip_header(&self, edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut bytes = self.encode();
        let header = &mut bytes[self.ip_at()..self.udp_at()];
        edit(header);
        header[10..12].fill(0);
        let checksum = internet_checksum(header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    fn ip_header(&self) -> Vec<u8> {
        let header_len = 20 + self.ip_options.len();
        assert!(header_len.is_multiple_of(4) && header_len <= 60, "RFC 791: IHL counts words");
        let total = (header_len + 8 + self.payload.len()) as u16;
        let mut header = vec![0x40 | (header_len / 4) as u8, self.tos];
        header.extend(total.to_be_bytes());
        header.extend(self.id.to_be_bytes());
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.ttl, PROTOCOL_UDP, 0, 0]);
        header.extend(self.src.octets());
        header.extend(self.dst.octets());
        header.extend(&self.ip_options);
        let checksum = internet_checksum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    fn datagram(&self) -> Vec<u8> {
        let length = (8 + self.payload.len()) as u16;
        let mut datagram = Vec::new();
        for word in [self.src_port, self.dst_port, length, 0] {
            datagram.extend(word.to_be_bytes());
        }
        datagram.extend(&self.payload);
        let right = udp_checksum(self.src, self.dst, &datagram);
        let checksum = match self.udp_checksum {
            UdpChecksum::Right => right,
            UdpChecksum::None => 0,
            // Zero would say that there is none.
            UdpChecksum::Wrong if right == 0x0100 => 0x0300,
            UdpChecksum::Wrong => right ^ 0x0100,
            UdpChecksum::PseudoHeader => udp_pseudo_header_sum(self.src, self.dst, length),
        };
        datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
        datagram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame::broadcast([2, 0, 0, 0, 0, 1], &Message::request(1, [2, 0, 0, 0, 0, 1]))
    }

    /// Byte by byte from RFC 791 figure 4 and RFC 768; the checksums computed by hand.
    #[test]
    fn the_headers_of_an_empty_datagram() {
        let frame = Frame {
            src: [192, 0, 2, 1].into(),
            dst: [192, 0, 2, 2].into(),
            payload: Vec::new(),
            id: 0x0102,
            ..frame()
        };
        let expected = [
            255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 0, // Ethernet
            0x45, 0, 0, 28, 1, 2, 0, 0, 64, 17, 0xf5, 0xcb, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
            0, 68, 0, 67, 0, 8, 0x7b, 0x53, // UDP
        ];
        assert_eq!(frame.encode(), expected);
    }

    #[test]
    fn tags_and_ip_options_move_what_follows() {
        let mut frame = frame();
        frame.tags = vec![VlanTag { tpid: 0x88a8, tci: 5 }, VlanTag { tpid: 0x8100, tci: 0x2007 }];
        frame.ip_options = vec![1, 1, 1, 0];
        let bytes = frame.encode();
        assert_eq!(&bytes[12..22], &[0x88, 0xa8, 0, 5, 0x81, 0, 0x20, 7, 8, 0]);
        assert_eq!(bytes[frame.ip_at()], 0x46);
        assert_eq!(&bytes[frame.udp_at()..][..4], &[0, 68, 0, 67]);
        assert_eq!(&bytes[frame.payload_at()..], frame.payload);
    }

    #[test]
    fn each_udp_checksum_is_what_it_says() {
        let field = |udp_checksum| {
            let frame = Frame { udp_checksum, ..frame() };
            let bytes = frame.encode();
            u16::from_be_bytes([bytes[frame.udp_at() + 6], bytes[frame.udp_at() + 7]])
        };
        assert_eq!(field(UdpChecksum::None), 0);
        assert_ne!(field(UdpChecksum::Wrong), field(UdpChecksum::Right));
        assert_ne!(field(UdpChecksum::Wrong), 0);
        // 0.0.0.0, 255.255.255.255, 17 and 308, by hand: ffff + ffff + 0011 + 0134 = 20143 - 0 ▶ 0145.
        assert_eq!(field(UdpChecksum::PseudoHeader), 0x0145);
    }

    #[test]
    fn an_edited_ip_header_has_a_right_checksum() {
        let frame = frame();
        let bytes = frame.encode_with_ip_header(|header| header[8] = 1);
        assert_eq!(bytes[frame.ip_at() + 8], 1);
        assert_eq!(internet_checksum(&bytes[frame.ip_at()..frame.udp_at()]), 0);
    }
}
