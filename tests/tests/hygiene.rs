//! What both paths owe every packet: which frames are nobody's to answer, and what every answer looks like. Each
//! test is named after a mistake that a DHCP server has made.

use std::net::Ipv4Addr;

use tests::{
    client::Client,
    encode::{BOOTREPLY, BROADCAST_FLAG, Frame, UdpChecksum, kind, option},
    site::Site,
};

const MANY: &str = "10.9.1.1-10.9.1.200";
const ONE: &str = "10.9.1.1-10.9.1.1";
const LEASE: &str = "lease-time = \"1h\"";

/// A site with one client that holds a lease.
fn site_and_client() -> (Site, Client) {
    let site = Site::new(MANY, LEASE);
    let client = site.leased(Client::new(1));
    (site, client)
}

/// A renewal with a fault is not answered, by nobody; the fast path says why; and one without is, so that the
/// fault was the reason.
fn assert_refused(reason: &str, fault: impl FnOnce(Frame) -> Vec<u8>) {
    let (site, mut client) = site_and_client();
    let before = site.daemon.stats();
    let bytes = fault(client.renewing());
    site.assert_silent(&bytes, client.xid);
    let after = site.daemon.stats();
    assert!(after.fast(reason) > before.fast(reason), "not counted as {reason}: {after:?}");
    assert_eq!(after.fast_answers(), before.fast_answers());
    site.renew_in_kernel(&mut client);
}

#[test]
fn a_wrong_udp_checksum_is_believed() {
    assert_refused("udp-checksum", |frame| Frame { udp_checksum: UdpChecksum::Wrong, ..frame }.encode());
}

#[test]
fn a_wrong_ip_checksum_is_believed() {
    assert_refused("ip-checksum", |frame| {
        let mut bytes = frame.encode();
        bytes[frame.ip_at() + 10] ^= 1;
        bytes
    });
}

#[test]
fn a_datagram_longer_than_its_frame_is_read() {
    assert_refused("length", |frame| {
        let longer = (20 + 8 + frame.payload.len() + 40) as u16;
        frame.encode_with_ip_header(|header| header[2..4].copy_from_slice(&longer.to_be_bytes()))
    });
}

#[test]
fn a_udp_length_beyond_the_datagram_is_read() {
    assert_refused("length", |frame| {
        let frame = Frame { udp_checksum: UdpChecksum::None, ..frame };
        let mut bytes = frame.encode();
        let longer = (8 + frame.payload.len() + 8) as u16;
        bytes[frame.udp_at() + 4..][..2].copy_from_slice(&longer.to_be_bytes());
        bytes
    });
}

#[test]
fn a_first_fragment_is_answered() {
    assert_refused("fragment", |frame| Frame { fragment: 0x2000, ..frame }.encode());
}

#[test]
fn a_later_fragment_is_answered() {
    assert_refused("fragment", |frame| Frame { fragment: 100, ..frame }.encode());
}

#[test]
fn another_hosts_frame_is_answered() {
    assert_refused("destination-mac", |frame| Frame { dst_mac: [2, 9, 9, 9, 9, 9], ..frame }.encode());
}

#[test]
fn another_servers_datagram_is_answered() {
    assert_refused("ip-destination", |frame| Frame { dst: [10, 9, 0, 2].into(), ..frame }.encode());
}

#[test]
fn a_reply_is_taken_for_a_request() {
    assert_refused("not-request", |mut frame| {
        frame.payload[0] = BOOTREPLY;
        frame.encode()
    });
}

#[test]
fn a_message_without_the_magic_cookie_is_taken_for_dhcp() {
    assert_refused("not-request", |mut frame| {
        frame.payload[236] ^= 1;
        frame.encode()
    });
}

#[test]
fn ip_options_shift_what_is_read() {
    let (site, mut client) = site_and_client();
    let before = site.daemon.stats();
    // Four no-operations (RFC 791): a host may accept them, the fast path leaves them to user space.
    let frame = Frame { ip_options: vec![1; 4], ..client.renewing() };
    site.try_once(&client, &frame);
    site.renew_in_kernel(&mut client);
    assert_eq!(site.daemon.stats().fast("ack-renewing"), before.fast("ack-renewing") + 1);
}

#[test]
fn octets_behind_the_datagram_are_taken_for_options() {
    let (site, mut client) = site_and_client();
    let frame = Frame { trailer: vec![0xee; 18], ..client.renewing() };
    let ack = site.answer(&client, &frame);
    client.accept(&ack);
}

#[test]
fn a_datagram_without_udp_checksum_is_dropped() {
    let (site, mut client) = site_and_client();
    let frame = Frame { udp_checksum: UdpChecksum::None, ..client.renewing() };
    let ack = site.answer(&client, &frame);
    client.accept(&ack);
    assert_eq!(site.daemon.stats().fast("ack-renewing"), 1);
}

#[test]
fn a_checksum_that_hardware_should_finish_is_dropped() {
    let (site, mut client) = site_and_client();
    let frame = Frame { udp_checksum: UdpChecksum::PseudoHeader, ..client.renewing() };
    let ack = site.answer(&client, &frame);
    client.accept(&ack);
    assert_eq!(site.daemon.stats().fast("ack-renewing"), 1);
}

#[test]
fn a_message_of_300_octets_is_corrupted_and_passed_up() {
    let (site, mut client) = site_and_client();
    // No template for this list yet: the reply needs to grow, and user space must still see what was sent.
    client =
        client.without(option::PARAMETER_REQUEST_LIST).with(option::PARAMETER_REQUEST_LIST, &[1, 3, 6, 15]);
    let frame = client.renewing();
    assert_eq!(frame.payload.len(), 300);
    let before = site.daemon.stats();
    let ack = site.answer(&client, &frame);
    client.accept(&ack);
    assert_eq!(ack.message.option(option::DOMAIN_NAME), Some(&b"lab.example"[..]));
    assert!(site.daemon.stats().slow("request") > before.slow("request"), "user space answered");
}

#[test]
fn a_request_meant_for_another_server_is_answered() {
    let (site, mut client) = site_and_client();
    let before = site.daemon.stats();
    let address = client.held().address;
    let request = client.reboot(address).with(option::SERVER_IDENTIFIER, &[10, 9, 0, 2]);
    site.assert_silent(&client.broadcast(&request).encode(), client.xid);
    let after = site.daemon.stats();
    assert!(after.fast("other-server") > before.fast("other-server"));
    assert_eq!(after.fast_answers(), before.fast_answers());
}

#[test]
fn an_address_that_the_client_did_not_ask_for_is_acknowledged() {
    let (site, mut client) = site_and_client();
    let request = client.reboot(Ipv4Addr::new(10, 9, 1, 150));
    site.assert_nak(&client, &client.broadcast(&request));
}

#[test]
fn someone_elses_address_is_acknowledged() {
    let (site, holder) = site_and_client();
    let mut thief = Client { lease: holder.lease, ..Client::new(2) };
    let before = site.daemon.stats();
    let frame = thief.renewing();
    site.port.send(&frame.encode());
    let frame = thief.rebinding();
    site.assert_nak(&thief, &frame);
    let after = site.daemon.stats();
    assert!(after.fast("identity") >= before.fast("identity") + 2);
    assert_eq!(after.fast_answers(), before.fast_answers());
}

#[test]
fn a_renewal_from_another_ip_address_is_acknowledged() {
    let (site, mut client) = site_and_client();
    let before = site.daemon.stats();
    let frame = Frame { src: [10, 9, 1, 199].into(), ..client.renewing() };
    site.try_once(&client, &frame);
    site.renew_in_kernel(&mut client);
    let after = site.daemon.stats();
    assert!(after.fast("ip-source") > before.fast("ip-source"));
    assert_eq!(after.fast("ack-renewing"), before.fast("ack-renewing") + 1);
}

#[test]
fn the_client_identifier_is_ignored() {
    let site = Site::new(MANY, LEASE);
    let one = site.leased(Client::new(1).with(option::CLIENT_IDENTIFIER, b"\0one"));
    let mut other = Client::new(1).with(option::CLIENT_IDENTIFIER, b"\0other");
    other.xid = Client::new(2).xid;
    let other = site.leased(other);
    assert_ne!(one.held().address, other.held().address, "two identifiers are two clients");

    let roamed = site.leased(Client::new(3).with(option::CLIENT_IDENTIFIER, b"\0one"));
    assert_eq!(
        one.held().address,
        roamed.held().address,
        "one identifier is one client, whatever its hardware"
    );
}

#[test]
fn no_identifier_is_taken_for_one_made_of_the_hardware_address() {
    let (site, client) = site_and_client();
    let identifier = [&[1], &client.mac[..]].concat();
    let mut other = Client::new(1).with(option::CLIENT_IDENTIFIER, &identifier);
    other.xid = Client::new(2).xid;
    assert_ne!(site.leased(other).held().address, client.held().address);
}

/// RFC 6842, on both paths.
#[test]
fn the_client_identifier_is_not_echoed() {
    let site = Site::new(MANY, LEASE);
    let identifier = b"\0an identifier of some length";
    let mut client = Client::new(1).with(option::CLIENT_IDENTIFIER, identifier);
    let (offer, ack) = client.acquire(&site.port);
    let renewal = site.renew_in_kernel(&mut client);
    for reply in [offer, ack, renewal] {
        assert_eq!(reply.message.option(option::CLIENT_IDENTIFIER), Some(&identifier[..]));
    }
}

#[test]
fn an_identifier_that_nobody_sent_is_echoed() {
    let (site, mut client) = site_and_client();
    let renewal = site.renew_in_kernel(&mut client);
    assert_eq!(renewal.message.option(option::CLIENT_IDENTIFIER), None);
}

/// Option 53 is not where it usually is: behind others, and where a REQUEST has its own stands the value 3.
#[test]
fn a_release_is_taken_for_a_request() {
    let site = Site::new(ONE, LEASE);
    let mut client = site.leased(Client::new(1));
    let before = site.daemon.stats();
    let release = client.release().without(option::MESSAGE_TYPE);
    let release =
        release.with_first(option::HOST_NAME, &[kind::REQUEST]).with(option::MESSAGE_TYPE, &[kind::RELEASE]);
    site.assert_silent(&client.unicast(&release).encode(), client.xid);
    assert_eq!(site.daemon.stats().fast_answers(), before.fast_answers());
    site.leased(Client::new(2));
}

#[test]
fn option_53_is_looked_for_at_a_fixed_offset() {
    let (site, mut client) = site_and_client();
    let request = client.extend().without(option::MESSAGE_TYPE).with(option::MESSAGE_TYPE, &[kind::REQUEST]);
    let frame = client.unicast(&request);
    let ack = site.answer(&client, &frame);
    client.accept(&ack);
    assert_eq!(site.daemon.stats().fast("ack-renewing"), 1);
}

/// RFC 2131 §4.1: `ciaddr` goes before the broadcast flag.
#[test]
fn a_renewals_reply_is_broadcast() {
    let (site, mut client) = site_and_client();
    client.flags = BROADCAST_FLAG;
    let renewing = client.renewing();
    let rebinding = client.rebinding();
    for frame in [renewing, rebinding] {
        let reply = site.port.exchange(&frame.encode(), xid(&frame)).expect("an answer");
        assert_eq!(reply.message.kind(), kind::ACK);
        assert_eq!((reply.dst, reply.dst_mac), (client.held().address, client.mac));
        assert_eq!(reply.message.ciaddr, client.held().address);
    }
}

#[test]
fn replies_are_shorter_than_300_octets() {
    let site = Site::new(MANY, LEASE);
    let mut client = Client::new(1);
    let (offer, ack) = client.acquire(&site.port);
    let renewal = site.renew_in_kernel(&mut client);
    let request = client.reboot(Ipv4Addr::new(192, 168, 77, 5));
    let nak = site.answer(&client, &client.broadcast(&request));
    for reply in [offer, ack, renewal, nak] {
        assert!(reply.message_length >= 300, "{reply:?}");
    }
}

#[test]
fn secs_is_echoed() {
    let site = Site::new(MANY, LEASE);
    let mut client = Client { secs: 0x0102, ..Client::new(1) };
    let (offer, ack) = client.acquire(&site.port);
    let renewal = site.renew_in_kernel(&mut client);
    for reply in [offer, ack, renewal] {
        assert_eq!(reply.message.secs, 0);
    }
}

/// Every number of this test differs when its octets are reversed.
#[test]
fn numbers_are_in_the_wrong_byte_order() {
    let site = Site::new("10.9.1.2-10.9.1.2", "lease-time = 66051");
    let mut client = Client { xid: 0x0102_0304, ..Client::new(1) };
    let (offer, ack) = client.acquire(&site.port);
    let renewal = site.renew_in_kernel(&mut client);
    for reply in [offer, ack, renewal] {
        assert_eq!(reply.message.yiaddr, Ipv4Addr::new(10, 9, 1, 2));
        assert_eq!(reply.message.number_option(option::LEASE_TIME), Some(0x0001_0203));
        assert_eq!(reply.message.address_option(option::SERVER_IDENTIFIER), Some(Site::SERVER));
        assert_eq!(reply.src, Site::SERVER);
    }
}

#[test]
fn the_parameter_request_list_is_ignored() {
    let (site, mut client) = site_and_client();
    let lists: [&[u8]; 3] = [
        &[option::SUBNET_MASK, option::ROUTER],
        &[option::SUBNET_MASK, option::DOMAIN_NAME_SERVER],
        &[option::SUBNET_MASK, option::ROUTER, option::DOMAIN_NAME_SERVER, option::DOMAIN_NAME],
    ];
    // Twice, so that each list is answered by the slow path and by the fast path.
    for list in lists.iter().chain(&lists) {
        client = client.without(option::PARAMETER_REQUEST_LIST).with(option::PARAMETER_REQUEST_LIST, list);
        let ack = site.renew(&mut client);
        for code in [option::ROUTER, option::DOMAIN_NAME_SERVER, option::DOMAIN_NAME] {
            assert_eq!(ack.message.option(code).is_some(), list.contains(&code), "option {code} of {list:?}");
        }
    }
    assert!(site.daemon.stats().fast("ack-renewing") > 0, "the fast path took part");
}

fn xid(frame: &Frame) -> u32 {
    u32::from_be_bytes([frame.payload[4], frame.payload[5], frame.payload[6], frame.payload[7]])
}
