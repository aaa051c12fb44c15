//! From a frame to a datagram: the packet hygiene of a host's own stack (RFC 791, RFC 768, RFC 1122 §3.2.1),
//! which a packet socket goes past. Owns everything in front of the BOOTP message; reads no option of DHCP's.

use super::Refusal;
use crate::sys::packet::{Checksum, Destination, Frame};
use dhcp_ebpf::{
    abi::{Ip, LINK_UNFINISHED_CHECKSUMS, Link, Mac},
    checksum,
    wire::{
        DATAGRAM_MAX, Datagram, OPTIONS_AT,
        ethernet::{TYPE_IPV4, TYPE_SERVICE_VLAN, TYPE_VLAN, UNTAGGED_LEN},
        ipv4, udp,
    },
};
use zerocopy::{FromBytes, IntoBytes};

/// RFC 791: octets of an IP header without options.
const PLAIN_HEADER: usize = size_of::<ipv4::Header>();

/// A datagram that a host's stack would hand to whoever listens on port 67.
pub(super) struct Arrival {
    /// The datagram, its IP header's options taken out: the layout that both paths read.
    pub(super) datagram: Box<Datagram>,
    /// Octets of the BOOTP message's options.
    pub(super) options_len: usize,
    /// The frame's source.
    pub(super) source: Mac,
    /// It was sent to an address of ours, not to a broadcast one.
    pub(super) by_unicast: bool,
    /// The address of ours that it was sent to; else our default one there.
    pub(super) local: Ip,
}

impl Arrival {
    /// Checks a frame, from Ethernet up to the fixed fields of its BOOTP message.
    pub(super) fn check(frame: &Frame<'_>, link: &Link) -> Result<Self, Refusal> {
        let (source, packet) = ethernet(frame)?;
        let (datagram, payload_len) = internet(packet)?;
        let (by_unicast, local) = destination_of(link, datagram.ip.destination)?;
        if datagram.udp.destination.get() != udp::PORT_SERVER {
            return Err(Refusal::NotDhcp);
        }
        check_udp_checksum(frame.checksum, link, &datagram)?;
        let options_len = (PLAIN_HEADER + payload_len).checked_sub(OPTIONS_AT).ok_or(Refusal::Length)?;
        let request = &datagram.dhcp;
        if !request.is_request() {
            return Err(Refusal::NotRequest);
        }
        if !request.mac().is_unicast() {
            return Err(Refusal::Chaddr);
        }
        if !request.giaddr.is_zero() {
            return Err(Refusal::Relay);
        }
        Ok(Self { datagram, options_len, source, by_unicast, local })
    }
}

/// The source of an untagged frame for this host, and the IP packet in it.
fn ethernet<'a>(frame: &Frame<'a>) -> Result<(Mac, &'a [u8]), Refusal> {
    if frame.original_len > frame.bytes.len() {
        return Err(Refusal::FrameLength);
    }
    let (header, packet) = frame.bytes.split_first_chunk::<UNTAGGED_LEN>().ok_or(Refusal::Length)?;
    let [.., s0, s1, s2, s3, s4, s5, t0, t1] = *header;
    let ethertype = u16::from_be_bytes([t0, t1]);
    if frame.vlan.is_some() || ethertype == TYPE_VLAN || ethertype == TYPE_SERVICE_VLAN {
        return Err(Refusal::Tagged);
    }
    if ethertype != TYPE_IPV4 {
        return Err(Refusal::NotDhcp);
    }
    if !matches!(frame.destination, Destination::Host | Destination::Broadcast) {
        return Err(Refusal::DestinationMac);
    }
    let source = Mac([s0, s1, s2, s3, s4, s5]);
    if source.is_unicast() { Ok((source, packet)) } else { Err(Refusal::SourceMac) }
}

/// A copy of an IP packet with UDP in it, without IP options and without what lies behind the UDP datagram; and
/// the UDP datagram's length.
fn internet(packet: &[u8]) -> Result<(Box<Datagram>, usize), Refusal> {
    let (plain, _) = ipv4::Header::ref_from_prefix(packet).map_err(|_| Refusal::Length)?;
    let header_len = usize::from(plain.version_ihl & 0x0f) * 4;
    if plain.version_ihl >> 4 != 4 || header_len < PLAIN_HEADER {
        return Err(Refusal::IpHeader);
    }
    let packet = packet.get(..usize::from(plain.total_len.get())).ok_or(Refusal::Length)?;
    let (header, payload) = packet.split_at_checked(header_len).ok_or(Refusal::Length)?;
    if sum(header) != 0xffff {
        return Err(Refusal::IpChecksum);
    }
    check_ip_options(header.get(PLAIN_HEADER..).unwrap_or_default())?;
    if plain.is_fragment() {
        return Err(Refusal::Fragment);
    }
    if plain.protocol != ipv4::PROTOCOL_UDP {
        return Err(Refusal::NotDhcp);
    }
    let (udp, _) = udp::Header::ref_from_prefix(payload).map_err(|_| Refusal::Length)?;
    let payload_len = usize::from(udp.len.get());
    let payload = payload.get(..payload_len).ok_or(Refusal::Length)?;
    if payload_len < size_of::<udp::Header>() {
        return Err(Refusal::Length);
    }

    let total = PLAIN_HEADER + payload_len;
    if total > DATAGRAM_MAX {
        return Err(Refusal::FrameLength);
    }
    let mut datagram = Box::new(Datagram::zeroed());
    datagram.ip = *plain;
    datagram.ip.version_ihl = ipv4::VERSION_IHL;
    datagram.ip.total_len = (total as u16).into();
    datagram.ip.checksum = [0; 2];
    datagram.ip.checksum = (!checksum::fold(checksum::ip_header(&datagram.ip))).to_ne_bytes();
    if let Some(to) = datagram.as_mut_bytes().get_mut(PLAIN_HEADER..total) {
        to.copy_from_slice(payload);
    }
    Ok((datagram, payload_len))
}

/// The folded sum of an IP header of whole words.
fn sum(header: &[u8]) -> u16 {
    let (words, _) = header.as_chunks::<4>();
    checksum::fold(words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum())
}

/// RFC 1122 §3.2.1.8: what a host does not know among the options it passes over; a route that the sender laid
/// down it may refuse, and an answer would have to follow it back.
fn check_ip_options(mut options: &[u8]) -> Result<(), Refusal> {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    const STRICT_SOURCE_ROUTE: u8 = 137;
    loop {
        options = match options {
            [] | [END, ..] => return Ok(()),
            [NO_OPERATION, rest @ ..] => rest,
            [LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE, ..] => return Err(Refusal::SourceRoute),
            [_, len, ..] if *len >= 2 => options.get(usize::from(*len)..).ok_or(Refusal::IpHeader)?,
            _ => return Err(Refusal::IpHeader),
        };
    }
}

/// Whether `destination` is an address of ours, and which of ours answers.
fn destination_of(link: &Link, destination: Ip) -> Result<(bool, Ip), Refusal> {
    let [default, ..] = link.addresses;
    if destination.is_zero() {
        Err(Refusal::IpDestination)
    } else if link.addresses.contains(&destination) {
        Ok((true, destination))
    } else if destination == Ip::BROADCAST || link.broadcasts.contains(&destination) {
        Ok((false, default))
    } else {
        Err(Refusal::IpDestination)
    }
}

/// Whether the UDP checksum is right, or nothing can be wrong with it.
fn check_udp_checksum(known: Checksum, link: &Link, datagram: &Datagram) -> Result<(), Refusal> {
    let stated = datagram.udp.checksum;
    let unfinished = checksum::fold(checksum::pseudo_header(&datagram.ip, datagram.udp.len.get()));
    let right = known != Checksum::Unknown
        || stated == [0; 2]
        || checksum::fold(checksum::udp(datagram)) == 0xffff
        || link.flags & LINK_UNFINISHED_CHECKSUMS != 0 && stated == unfinished.to_ne_bytes();
    if right { Ok(()) } else { Err(Refusal::UdpChecksum) }
}
