//! What a host's own stack would not hand up is no request here either; and what it would, is.

use super::*;
use crate::sys::packet::VlanTag;

#[track_caller]
fn refused(refusal: Refusal, packet: &Packet) {
    assert_eq!(packet.parse().err(), Some(refusal));
}

/// A renewal whose bytes are changed; the checksums too, where they are said to be put right.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Result<Request, Refusal> {
    let mut bytes = Packet::renewing().bytes();
    change(&mut bytes);
    parse(&bytes)
}

fn put_ip_checksum_right(bytes: &mut [u8]) {
    bytes[24..26].fill(0);
    let sum = internet_checksum(&bytes[14..34]);
    bytes[24..26].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn names_are_each_their_own() {
    let names: std::collections::HashSet<_> = Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
    assert_eq!(names.len(), Refusal::ALL.len());
}

#[test]
fn whole_requests_are_taken() {
    for packet in [
        Packet::discover(),
        Packet::renewing(),
        Packet::rebinding(),
        Packet::selecting(SERVER),
        Packet::inform(),
    ] {
        packet.request();
    }
}

#[test]
fn frames_for_others_are_refused() {
    let bytes = Packet::renewing().bytes();
    for destination in [Destination::OtherHost, Destination::Multicast] {
        let frame = Frame { destination, ..frame(&bytes) };
        assert_eq!(Request::parse(&frame, &link()).err(), Some(Refusal::DestinationMac));
    }
}

#[test]
fn frames_from_a_group_or_nobody_are_refused() {
    for source in [Mac::BROADCAST, Mac([1, 0, 0x5e, 0, 0, 1]), Mac([0; 6])] {
        refused(Refusal::SourceMac, &Packet { source, ..Packet::renewing() });
    }
    refused(Refusal::Chaddr, &Packet { chaddr: Mac::BROADCAST, ..Packet::renewing() });
}

#[test]
fn tagged_frames_are_refused() {
    for tag in [[0x81, 0, 0, 5, 8, 0], [0x88, 0xa8, 0, 0, 8, 0]] {
        refused(Refusal::Tagged, &Packet { ethertype: tag.to_vec(), ..Packet::renewing() });
    }
    let bytes = Packet::renewing().bytes();
    let vlan = Some(VlanTag { tpid: 0x8100, tci: 0 });
    assert_eq!(Request::parse(&Frame { vlan, ..frame(&bytes) }, &link()).err(), Some(Refusal::Tagged));
}

#[test]
fn a_frame_that_did_not_fit_is_refused() {
    let bytes = Packet::renewing().bytes();
    let frame = Frame { original_len: bytes.len() + 1, ..frame(&bytes) };
    assert_eq!(Request::parse(&frame, &link()).err(), Some(Refusal::FrameLength));

    let options = [77; 257].repeat(6);
    let mut long = Packet::renewing();
    long.options.extend(options.iter().map(|_| 0));
    refused(Refusal::FrameLength, &long);
}

#[test]
fn no_prefix_of_a_request_is_a_request() {
    let bytes = Packet::renewing().bytes();
    for len in 0..bytes.len() {
        assert!(parse(&bytes[..len]).is_err(), "{len} octets");
    }
}

#[test]
fn other_protocols_are_refused() {
    refused(Refusal::NotDhcp, &Packet { ethertype: vec![0x86, 0xdd], ..Packet::renewing() });
    refused(Refusal::NotDhcp, &Packet { port: 68, ..Packet::renewing() });
    refused(Refusal::IpHeader, &Packet { version: 6, ..Packet::renewing() });
    let tcp = changed(|bytes| {
        bytes[23] = 6;
        put_ip_checksum_right(bytes);
    });
    assert_eq!(tcp.err(), Some(Refusal::NotDhcp));
}

#[test]
fn a_header_shorter_than_a_header_is_refused() {
    let short = changed(|bytes| {
        bytes[14] = 0x44;
        put_ip_checksum_right(bytes);
    });
    assert_eq!(short.err(), Some(Refusal::IpHeader));
}

#[test]
fn octets_behind_the_datagram_do_not_count() {
    let mut bytes = Packet { end: false, ..Packet::renewing() }.bytes();
    bytes.extend([12, 1, b'x', 255]);
    assert_eq!(parse(&bytes).unwrap().host_name, None);
}

#[test]
fn octets_behind_the_udp_datagram_do_not_count() {
    let mut bytes = Packet { end: false, ..Packet::renewing() }.bytes();
    bytes.extend([12, 1, b'x', 255]);
    let total = (bytes.len() - 14) as u16;
    bytes[16..18].copy_from_slice(&total.to_be_bytes());
    put_ip_checksum_right(&mut bytes);
    let request = parse(&bytes).unwrap();
    assert_eq!(request.host_name, None);
    assert_eq!(request.datagram.ip.total_len.get(), total - 4);
}

#[test]
fn lengths_beyond_what_holds_them_are_refused() {
    let total = changed(|bytes| {
        bytes[17] += 1;
        put_ip_checksum_right(bytes);
    });
    assert_eq!(total.err(), Some(Refusal::Length));
    for len in [0u16, 7, 600] {
        let udp = changed(|bytes| {
            bytes[38..40].copy_from_slice(&len.to_be_bytes());
            bytes[40..42].fill(0);
        });
        assert_eq!(udp.err(), Some(Refusal::Length), "UDP length {len}");
    }
}

#[test]
fn fragments_are_refused() {
    for fragment in [0x2000, 0x2001, 1, 0x1fff] {
        refused(Refusal::Fragment, &Packet { fragment, ..Packet::renewing() });
    }
    Packet { fragment: 0x4000, ..Packet::renewing() }.request();
}

#[test]
fn a_wrong_ip_checksum_is_refused() {
    assert_eq!(changed(|bytes| bytes[25] ^= 1).err(), Some(Refusal::IpChecksum));
    let mut bytes = Packet { ip_options: vec![1; 4], ..Packet::renewing() }.bytes();
    bytes[34] = 0;
    assert_eq!(parse(&bytes).err(), Some(Refusal::IpChecksum), "options count");
}

#[test]
fn the_checksum_of_udp_is_verified_where_nobody_has() {
    let mut bytes = Packet::renewing().bytes();
    bytes[41] ^= 1;
    let checked = |checksum, link: &Link| Request::parse(&Frame { checksum, ..frame(&bytes) }, link).err();
    assert_eq!(checked(Checksum::Unknown, &link()), Some(Refusal::UdpChecksum));
    assert_eq!(checked(Checksum::Verified, &link()), None);
    assert_eq!(checked(Checksum::Unfinished, &link()), None);
    assert!(changed(|bytes| bytes[40..42].fill(0)).is_ok(), "zero: none was made");
}

#[test]
fn an_unfinished_checksum_is_taken_where_the_link_is_known_for_it() {
    let mut bytes = Packet::renewing().bytes();
    let udp_len = bytes[38..40].to_vec();
    let pseudo = [&CLIENT.octets()[..], &SERVER.octets(), &[0, 17], &udp_len].concat();
    bytes[40..42].copy_from_slice(&(!internet_checksum(&pseudo)).to_be_bytes());
    assert_eq!(parse(&bytes).err(), Some(Refusal::UdpChecksum));
    let link = Link { flags: dhcp_ebpf::abi::LINK_UNFINISHED_CHECKSUMS, ..link() };
    assert!(Request::parse(&frame(&bytes), &link).is_ok());
}

#[test]
fn destinations_are_ours_or_a_broadcast_here() {
    let to = |dst| Packet { dst, ..Packet::renewing() };
    for dst in [[10, 9, 0, 2], [10, 8, 255, 255], [0, 0, 0, 0], [224, 0, 0, 1]] {
        refused(Refusal::IpDestination, &to(dst.into()));
    }
    for (dst, by_unicast, local) in [
        ([10, 9, 0, 1], true, [10, 9, 0, 1]),
        ([10, 9, 0, 7], true, [10, 9, 0, 7]),
        ([10, 9, 255, 255], false, [10, 9, 0, 1]),
        ([255; 4], false, [10, 9, 0, 1]),
    ] {
        let request = to(dst.into()).request();
        assert_eq!((request.by_unicast, request.local), (by_unicast, local.into()));
    }
}

#[test]
fn ip_options_are_taken_out() {
    let plain = Packet::renewing().with(12, b"host");
    let router_alert = vec![148, 4, 0, 0];
    for ip_options in [vec![1; 4], vec![0; 40], [router_alert, vec![7, 3, 4, 0]].concat()] {
        let request = Packet { ip_options, ..plain.clone() }.request();
        assert_eq!(request.datagram, plain.request().datagram);
        assert_eq!(request.host_name.as_deref(), Some(&b"host"[..]));
    }
}

#[test]
fn source_routes_and_malformed_ip_options_are_refused() {
    let with = |ip_options: &[u8]| Packet { ip_options: ip_options.to_vec(), ..Packet::renewing() };
    for kind in [131, 137] {
        refused(Refusal::SourceRoute, &with(&[1, kind, 7, 4, 10, 9, 0, 9]));
    }
    for ip_options in [[7, 0, 0, 0], [7, 1, 0, 0], [7, 5, 0, 0], [1, 1, 1, 7]] {
        refused(Refusal::IpHeader, &with(&ip_options));
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let udp_at = Packet::renewing().udp_at();
    // op, htype, hlen, the cookie's last octet.
    for at in [0, 1, 2, 239] {
        let fault = changed(|bytes| {
            bytes[udp_at + 8 + at] ^= 3;
            bytes[40..42].fill(0);
        });
        assert_eq!(fault.err(), Some(Refusal::NotRequest), "octet {at}");
    }
}

#[test]
fn relays_are_refused() {
    refused(Refusal::Relay, &Packet { giaddr: [10, 9, 0, 9].into(), ..Packet::discover() });
}
