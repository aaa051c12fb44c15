//! Replies, byte by byte as RFC 2131 table 3 and §4.1 have them, and as dhcproto reads them.

use super::*;
use crate::protocol::{Kind, Made, reply};
use dhcp_ebpf::abi::Template;
use dhcproto::{
    Decodable, Decoder,
    v4::{DhcpOption, Message, OptionCode},
};

const ASKED: &[u8] = &[1, 3, 6, 15, 28, 58, 59];

/// Codes and values behind the cookie, in the order of the wire.
fn options(frame: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut rest = &frame[14 + 28 + 240..];
    let mut found = Vec::new();
    while rest[0] != 255 {
        let (value, after) = rest[2..].split_at(usize::from(rest[1]));
        found.push((rest[0], value.to_vec()));
        rest = after;
    }
    assert!(rest[1..].iter().all(|pad| *pad == 0));
    found
}

fn codes(frame: &[u8]) -> Vec<u8> {
    options(frame).into_iter().map(|(code, _)| code).collect()
}

fn option(frame: &[u8], code: u8) -> Option<Vec<u8>> {
    options(frame).into_iter().find(|(found, _)| *found == code).map(|(_, value)| value)
}

fn decode(frame: &[u8]) -> Message {
    Message::decode(&mut Decoder::new(&frame[14 + 28..])).unwrap()
}

fn offer(packet: &Packet) -> Vec<u8> {
    let request = packet.request();
    let made = replies().offer(&request);
    reply::frame(&request, &made.template, Kind::Offer { yiaddr: CLIENT }).unwrap()
}

fn ack(packet: &Packet) -> Vec<u8> {
    ack_by(&replies(), packet)
}

fn ack_by(replies: &Replies, packet: &Packet) -> Vec<u8> {
    let request = packet.request();
    let made = replies.ack(&request);
    reply::frame(&request, &made.template, Kind::Ack { yiaddr: CLIENT }).unwrap()
}

fn nak(packet: &Packet) -> Vec<u8> {
    let request = packet.request();
    let made = replies().nak(&request, "not yours");
    reply::frame(&request, &made.template, Kind::Nak).unwrap()
}

fn inform(packet: &Packet) -> Option<Vec<u8>> {
    let request = packet.request();
    let made = replies().inform(&request);
    reply::frame(&request, &made.template, Kind::Inform)
}

/// Ethernet and IP destination.
fn to(frame: &[u8]) -> (Mac, Ipv4Addr) {
    let address: [u8; 4] = frame[30..34].try_into().unwrap();
    (Mac(frame[..6].try_into().unwrap()), address.into())
}

/// What is the same in all of them: one fixed expectation of every octet before the options.
#[track_caller]
fn assert_headers(frame: &[u8], flags: u16, ciaddr: Ipv4Addr, yiaddr: Ipv4Addr) {
    assert_eq!(frame[6..14], [2, 0, 0, 0, 0, 1, 8, 0]);
    let len = (frame.len() - 14) as u16;
    let [len_high, len_low] = len.to_be_bytes();
    assert_eq!(frame[14..24], [0x45, 0, len_high, len_low, 0, 0, 0x40, 0, 64, 17]);
    assert_eq!(internet_checksum(&frame[14..34]), 0);
    assert_eq!(frame[26..30], SERVER.octets());
    let [len_high, len_low] = (len - 20).to_be_bytes();
    assert_eq!(frame[34..40], [0, 67, 0, 68, len_high, len_low]);
    let pseudo = [&frame[26..34], &[0, 17, len_high, len_low], &frame[34..]].concat();
    assert_eq!(internet_checksum(&pseudo), 0);

    let mut bootp = vec![2, 1, 6, 0, 0xaa, 0xbb, 0xcc, 0xdd, 0, 0];
    bootp.extend(flags.to_be_bytes());
    bootp.extend([ciaddr.octets(), yiaddr.octets(), [0; 4], [0; 4]].concat());
    bootp.extend([2, 0, 0, 0, 1, 2]);
    bootp.resize(236, 0);
    bootp.extend([99, 130, 83, 99]);
    assert_eq!(frame[42..42 + 240], bootp);
    assert!(frame.len() >= 42 + 300);
}

#[test]
fn an_offer_has_what_was_asked() {
    let frame = offer(&Packet::discover().with(61, &[1, 2, 3]).with(55, ASKED));
    assert_headers(&frame, 0, ANY, CLIENT);
    assert_eq!(to(&frame), (CLIENT_MAC, CLIENT));
    let expected: &[(u8, &[u8])] = &[
        (53, &[2]),
        (54, &[10, 9, 0, 1]),
        (51, &[0, 1, 2, 3]),
        (1, &[255, 255, 0, 0]),
        (3, &[10, 9, 0, 254]),
        (6, &[10, 9, 0, 53, 10, 9, 0, 54]),
        (15, b"lab.example"),
        (28, &[10, 9, 255, 255]),
        // 66051 s: half of it, and seven eighths.
        (58, &[0, 0, 0x81, 0x01]),
        (59, &[0, 0, 0xe1, 0xc2]),
        (61, &[1, 2, 3]),
    ];
    let found = options(&frame);
    assert_eq!(found.iter().map(|(code, value)| (*code, &value[..])).collect::<Vec<_>>(), expected);
}

#[test]
fn another_decoder_reads_the_same() {
    let message = decode(&ack(&Packet::rebinding().with(55, ASKED)));
    let option = |code| message.opts().get(code).unwrap().clone();
    assert_eq!(message.yiaddr(), CLIENT);
    assert_eq!(message.ciaddr(), CLIENT);
    assert_eq!(option(OptionCode::MessageType), DhcpOption::MessageType(dhcproto::v4::MessageType::Ack));
    assert_eq!(option(OptionCode::ServerIdentifier), DhcpOption::ServerIdentifier(SERVER));
    assert_eq!(option(OptionCode::AddressLeaseTime), DhcpOption::AddressLeaseTime(66_051));
    assert_eq!(option(OptionCode::SubnetMask), DhcpOption::SubnetMask([255, 255, 0, 0].into()));
    assert_eq!(option(OptionCode::Router), DhcpOption::Router(settings().routers));
    assert_eq!(option(OptionCode::DomainNameServer), DhcpOption::DomainNameServer(settings().dns));
    assert_eq!(option(OptionCode::DomainName), DhcpOption::DomainName("lab.example".to_owned()));
    assert_eq!(option(OptionCode::BroadcastAddr), DhcpOption::BroadcastAddr([10, 9, 255, 255].into()));
    assert_eq!(option(OptionCode::Renewal), DhcpOption::Renewal(33_025));
    assert_eq!(option(OptionCode::Rebinding), DhcpOption::Rebinding(57_794));
}

#[test]
fn the_clients_order_counts_but_for_the_mask() {
    let asked = |list: &[u8]| codes(&ack(&Packet::rebinding().with(55, list)));
    assert_eq!(asked(&[15, 6, 15, 99]), [53, 54, 51, 15, 6]);
    assert_eq!(asked(&[6, 3, 15, 1]), [53, 54, 51, 6, 1, 3, 15]);
    assert_eq!(asked(&[1, 15, 3]), [53, 54, 51, 1, 15, 3]);
    assert_eq!(asked(&[53, 54, 51, 26]), [53, 54, 51]);
    assert_eq!(codes(&ack(&Packet::rebinding())), [53, 54, 51, 1, 3, 6, 15, 58, 59]);
}

#[test]
fn what_is_not_configured_is_not_said() {
    let bare =
        Settings { lease: LeaseSecs::INFINITE, routers: vec![], dns: vec![], domain: None, ..settings() };
    let frame = ack_by(&Replies::new(&bare, 0), &Packet::rebinding().with(55, ASKED));
    assert_eq!(codes(&frame), [53, 54, 51, 1, 28]);
    assert_eq!(option(&frame, 51), Some(vec![255; 4]));
}

/// RFC 2131 §4.1: `ciaddr`, else the broadcast flag, else `yiaddr` at `chaddr`.
#[test]
fn replies_go_where_the_client_hears_them() {
    let flagged = |packet| Packet { flags: 0x8000, ..packet };
    let router = Mac([2, 9, 9, 9, 9, 9]);
    assert_eq!(to(&ack(&Packet::init_reboot())), (CLIENT_MAC, CLIENT));
    assert_eq!(to(&ack(&flagged(Packet::init_reboot()))), (Mac::BROADCAST, ALL));
    assert_eq!(to(&ack(&flagged(Packet { source: router, ..Packet::renewing() }))), (router, CLIENT));
    let frame = offer(&flagged(Packet::discover()));
    assert_eq!(to(&frame), (Mac::BROADCAST, ALL));
    assert_headers(&frame, 0x8000, ANY, CLIENT);
}

#[test]
fn an_ack_copies_ciaddr_and_an_offer_does_not() {
    assert_headers(&ack(&Packet::renewing()), 0, CLIENT, CLIENT);
    assert_headers(&ack(&Packet::init_reboot()), 0, ANY, CLIENT);
    assert_headers(&offer(&Packet { ciaddr: CLIENT, ..Packet::discover() }), 0, ANY, CLIENT);
}

/// RFC 2131 table 3 and §4.3.2.
#[test]
fn a_nak_is_broadcast_and_names_no_address() {
    for packet in [Packet::renewing(), Packet::init_reboot(), Packet::rebinding()] {
        let frame = nak(&packet.with(61, &[1, 2]).with(55, ASKED));
        assert_headers(&frame, 0, ANY, ANY);
        assert_eq!(to(&frame), (Mac::BROADCAST, ALL));
        let text = b"not yours".to_vec();
        let expected = [(53, vec![6]), (54, SERVER.octets().to_vec()), (56, text), (61, vec![1, 2])];
        assert_eq!(options(&frame), expected);
    }
}

/// RFC 2131 §4.3.5.
#[test]
fn an_informs_ack_has_no_lease() {
    let frame = inform(&Packet::inform().with(55, ASKED)).unwrap();
    assert_headers(&frame, 0, CLIENT, ANY);
    assert_eq!(to(&frame), (CLIENT_MAC, CLIENT));
    assert_eq!(codes(&frame), [53, 54, 1, 3, 6, 15, 28]);
    assert_eq!(option(&frame, 53), Some(vec![5]));

    let without = Packet { ciaddr: ANY, flags: 0x8000, ..Packet::inform() };
    let frame = inform(&without).unwrap();
    assert_headers(&frame, 0x8000, ANY, ANY);
    assert_eq!(to(&frame), (CLIENT_MAC, CLIENT), "the IP source");
    for src in [ANY, ALL, [224, 0, 0, 1].into(), [10, 9, 255, 255].into()] {
        assert_eq!(inform(&Packet { src, ..without.clone() }), None);
    }
}

#[test]
fn the_server_that_the_client_has_chosen_answers() {
    let second = Ipv4Addr::new(10, 9, 0, 7);
    let by = |frame: &[u8]| (frame[26..30].to_vec(), option(frame, 54).unwrap());
    let octets = second.octets().to_vec();
    assert_eq!(by(&ack(&Packet::selecting(second))), (octets.clone(), octets.clone()));
    assert_eq!(by(&nak(&Packet::selecting(second))), (octets.clone(), octets.clone()));
    assert_eq!(by(&ack(&Packet { dst: second, ..Packet::renewing() })), (octets.clone(), octets));
}

/// RFC 3046 §2.2.
#[test]
fn relay_information_is_repeated_last() {
    let frame = offer(&Packet::discover().with(82, &[1, 2, 7, 7]).with(61, &[0, 9]));
    let found = options(&frame);
    assert_eq!(found[found.len() - 2..], [(61, vec![0, 9]), (82, vec![1, 2, 7, 7])]);
}

fn rich() -> Replies {
    let settings = Settings {
        dns: (0..63).map(|host| Ipv4Addr::new(10, 9, 3, host)).collect(),
        domain: Some("d".repeat(60)),
        ..settings()
    };
    Replies::new(&settings, 0)
}

/// RFC 2132 §9.10: whole options are left out, the rest in the client's order.
#[test]
fn a_reply_fits_what_the_client_takes() {
    let packet = Packet::rebinding().with(55, &[1, 15, 6, 3]);
    let request = packet.request();
    let made = rich().ack(&request);
    assert!(!made.publishable);
    let frame = reply::frame(&request, &made.template, Kind::Ack { yiaddr: CLIENT }).unwrap();
    assert_eq!(codes(&frame), [53, 54, 51, 1, 15, 3]);

    let packet = packet.with(57, &1500u16.to_be_bytes());
    assert!(rich().ack(&packet.request()).publishable);
    assert_eq!(codes(&ack_by(&rich(), &packet)), [53, 54, 51, 1, 15, 6, 3]);
}

#[test]
fn a_reply_may_be_exactly_as_long_as_the_client_takes() {
    let packet =
        |max: usize| Packet::rebinding().with(55, &[1, 15, 6, 3]).with(57, &(max as u16).to_be_bytes());
    let whole = ack_by(&rich(), &packet(1500)).len() - 14;
    assert!(whole > 576);
    assert_eq!(ack_by(&rich(), &packet(whole)).len() - 14, whole);
    assert!(ack_by(&rich(), &packet(whole - 1)).len() - 14 < whole);
}

#[test]
fn a_reply_that_fits_no_link_is_none() {
    let request = Request { link: Link { mtu: 300, ..link() }, ..Packet::rebinding().request() };
    let made = replies().ack(&request);
    assert_eq!(reply::frame(&request, &made.template, Kind::Ack { yiaddr: CLIENT }), None);
}

/// One template for all that ask alike, whatever else they say; none for those that the kernel would not take.
#[test]
fn an_acks_template_depends_on_the_selectors_alone() {
    let template = |packet: Packet| -> (Box<Template>, bool) {
        let Made { template, publishable } = replies().ack(&packet.request());
        (template, publishable)
    };
    let (first, publishable) = template(Packet::rebinding().with(55, ASKED));
    assert!(publishable);
    assert_eq!((first.epoch, first.lease), (7, LeaseSecs(0x0001_0203)));
    for other in [
        Packet::selecting(SERVER).with(55, ASKED),
        Packet { flags: 0x8000, chaddr: Mac([2; 6]), ..Packet::init_reboot() }.with(12, b"x").with(55, ASKED),
        Packet::renewing().with(61, &[1, 2, 3]).with(55, ASKED).with(57, &[5, 0xdc]),
    ] {
        assert_eq!(template(other), (first.clone(), true));
    }
    assert_ne!(template(Packet::rebinding().with(55, &ASKED[1..])).0, first);
    assert!(!template(Packet::rebinding().with(55, ASKED).with(90, &[0])).1);
    assert!(!template(Packet::rebinding().with(55, &[1]).with(55, &[3])).1);
    let inform = Packet::inform().with(55, ASKED).request();
    assert!(!replies().inform(&inform).publishable && !replies().nak(&inform, "no").publishable);
}
