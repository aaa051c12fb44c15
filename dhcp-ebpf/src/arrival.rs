//! Whether a datagram is whole, right and ours, as a host's own stack would see it: XDP comes before that stack, so
//! nobody else has looked. Changes nothing and knows no lease.

use crate::{
    abi::{Ip, LINK_UNFINISHED_CHECKSUMS, Link},
    checksum,
    reason::Reason,
    wire::{Datagram, OPTIONS_AT, OPTIONS_MAX, ipv4, udp},
};

/// What the checks of a datagram found out about it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrived {
    /// It was sent to an address of ours, not to a broadcast one.
    pub(crate) by_unicast: bool,
    /// The address of ours that it was sent to; else our default one there.
    pub(crate) local: Ip,
    /// Octets of the options.
    pub(crate) options_len: usize,
}

/// IPv4, UDP and BOOTP, as a host's own stack would check them (RFC 791, RFC 768, RFC 1122 §3.2.1).
#[inline(always)]
pub(crate) fn check(link: &Link, datagram: &Datagram, len: usize) -> Result<Arrived, Reason> {
    let ip = &datagram.ip;
    if !ip.is_plain() || ip.protocol != ipv4::PROTOCOL_UDP {
        return Err(Reason::IpHeader);
    }
    let total = usize::from(ip.total_len.get());
    let udp_len = datagram.udp.len.get();
    if total > len || total != size_of::<ipv4::Header>() + usize::from(udp_len) {
        return Err(Reason::Length);
    }
    if ip.is_fragment() {
        return Err(Reason::Fragment);
    }
    let options_len = total.checked_sub(OPTIONS_AT).ok_or(Reason::Length)?;
    if options_len > OPTIONS_MAX {
        return Err(Reason::FrameLength);
    }
    if checksum::fold(checksum::ip_header(ip)) != 0xffff {
        return Err(Reason::IpChecksum);
    }
    let (by_unicast, local) = destination_of(link, ip.destination)?;
    if datagram.udp.destination.get() != udp::PORT_SERVER {
        return Err(Reason::NotDhcp);
    }
    check_udp_checksum(link, datagram, udp_len)?;
    if !datagram.dhcp.is_request() {
        return Err(Reason::NotRequest);
    }
    // A client without an address is answered there: a group's would be an answer to all of it.
    if !datagram.dhcp.mac().is_unicast() {
        return Err(Reason::Chaddr);
    }
    Ok(Arrived { by_unicast, local, options_len })
}

/// Whether `destination` is an address of ours, and which of ours answers.
#[inline(always)]
fn destination_of(link: &Link, destination: Ip) -> Result<(bool, Ip), Reason> {
    let [a, b, c, d] = link.addresses;
    if destination.is_zero() {
        return Err(Reason::IpDestination);
    }
    if destination == a || destination == b || destination == c || destination == d {
        return Ok((true, destination));
    }
    let [e, f, g, h] = link.broadcasts;
    let broadcast = destination == Ip::BROADCAST
        || destination == e
        || destination == f
        || destination == g
        || destination == h;
    if broadcast { Ok((false, a)) } else { Err(Reason::IpDestination) }
}

#[inline(always)]
fn check_udp_checksum(link: &Link, datagram: &Datagram, udp_len: u16) -> Result<(), Reason> {
    let stated = datagram.udp.checksum;
    if stated == [0; 2] || checksum::fold(checksum::udp(datagram)) == 0xffff {
        return Ok(());
    }
    let unfinished = checksum::fold(checksum::pseudo_header(&datagram.ip, udp_len)).to_ne_bytes();
    if stated != unfinished {
        return Err(Reason::UdpChecksum);
    }
    if link.flags & LINK_UNFINISHED_CHECKSUMS == 0 { Err(Reason::UdpChecksumUnfinished) } else { Ok(()) }
}
