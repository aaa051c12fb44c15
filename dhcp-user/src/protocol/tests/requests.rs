//! What a client says with its options.

use super::*;
use crate::{
    identity::ClientId,
    protocol::{
        MessageType, State,
        options::{self, STRUCTURAL},
    },
};
use dhcp_ebpf::{
    abi::{CLASS_IGNORED, CLASS_PASS},
    wire::{Datagram, Span, options::code::LEASE_TIME},
};

#[test]
fn every_message_of_a_client_has_its_type() {
    for (octet, message) in [
        (1, MessageType::Discover),
        (3, MessageType::Request),
        (4, MessageType::Decline),
        (7, MessageType::Release),
        (8, MessageType::Inform),
    ] {
        assert_eq!(Packet::of(octet).request().message, message);
    }
    for octet in [0, 2, 5, 6, 9, 13] {
        assert_eq!(Packet::of(octet).parse().err(), Some(Refusal::MessageType));
    }
}

#[test]
fn bootp_is_refused() {
    assert_eq!(Packet { options: vec![], ..Packet::discover() }.parse().err(), Some(Refusal::Bootp));
}

#[test]
fn all_that_a_client_says_is_read() {
    let request = Packet::selecting(SERVER)
        .with(57, &[2, 0x58])
        .with(12, b"host\0")
        .with(61, &[1, 2, 3])
        .with(55, &[1, 3, 6])
        .request();
    assert_eq!((request.mac, request.source), (CLIENT_MAC, CLIENT_MAC));
    assert_eq!((request.requested, request.server_id), (Some(CLIENT), Some(SERVER)));
    assert_eq!((request.max_message_size, request.reply_max()), (Some(600), 600));
    assert_eq!(request.host_name.as_deref(), Some(&b"host\0"[..]), "as it was sent");
    assert_eq!(request.client, ClientId::from_option(&[1, 2, 3]).unwrap());
    assert_eq!(request.parameters, Some(vec![1, 3, 6]));
    assert_eq!(request.selectors.unwrap().as_bytes(), [55, 3, 1, 3, 6]);
    assert_eq!(request.echoed.client_id.of(&request.datagram.options), [1, 2, 3]);
    assert_eq!(request.echoed.relay_info, Span::default());
}

#[test]
fn what_a_client_does_not_say_is_none() {
    let request = Packet::discover().request();
    assert_eq!(request.client, ClientId::from_chaddr(CLIENT_MAC));
    assert_eq!((request.requested, request.server_id, request.max_message_size), (None, None, None));
    assert_eq!((request.parameters.is_none(), request.host_name.is_none()), (true, true));
    assert!(request.echoed.is_empty());
    assert_eq!(request.reply_max(), 576);
    assert!(request.selectors.unwrap().as_bytes().is_empty());
}

/// RFC 2132 §9.14.
#[test]
fn an_identifier_of_one_octet_is_none_and_the_kernel_does_not_take_it() {
    for value in [&[][..], &[1]] {
        let request = Packet::discover().with(61, value).request();
        assert_eq!(request.client, ClientId::from_chaddr(CLIENT_MAC));
        assert!(request.echoed.is_empty() && request.selectors.is_none());
    }
}

/// RFC 3396.
#[test]
fn an_option_in_pieces_is_put_together() {
    let request = Packet::discover()
        .with(61, &[1, 2])
        .with(12, b"ho")
        .with(55, &[1])
        .with(61, &[3])
        .with(12, b"st")
        .with(55, &[3])
        .request();
    assert_eq!(request.client, ClientId::from_option(&[1, 2, 3]).unwrap());
    assert_eq!(request.echoed.client_id.of(&request.datagram.options), [1, 2, 3]);
    assert_eq!(request.host_name.as_deref(), Some(&b"host"[..]));
    assert_eq!(request.parameters, Some(vec![1, 3]));
    assert!(request.selectors.is_none(), "the kernel passes it");
}

#[test]
fn identifiers_that_no_option_can_repeat_are_refused() {
    let packet = Packet::discover().with(61, &[1; 200]).with(61, &[1; 56]);
    assert_eq!(packet.parse().err(), Some(Refusal::OptionsMalformed));
}

/// RFC 2131 §4.1: the options field, then `file`, then `sname`.
#[test]
fn overloaded_fields_are_read() {
    let overloaded = |fields| {
        Packet {
            file: vec![61, 3, 1, 2, 3, 12, 2, b'a', b'b', 255],
            sname: vec![12, 1, b'c', 255],
            ..Packet::discover().with(52, &[fields])
        }
        .parse()
    };
    let name = |fields| overloaded(fields).unwrap().host_name;
    assert_eq!(name(1).as_deref(), Some(&b"ab"[..]));
    assert_eq!(name(2).as_deref(), Some(&b"c"[..]));
    assert_eq!(name(3).as_deref(), Some(&b"abc"[..]));
    let request = overloaded(3).unwrap();
    assert_eq!(request.echoed.client_id.of(&request.datagram.options), [1, 2, 3]);
    assert!(request.selectors.is_none());
    assert_eq!(overloaded(0).err(), Some(Refusal::OptionsMalformed));
    assert_eq!(overloaded(4).err(), Some(Refusal::OptionsMalformed));
}

#[test]
fn fields_that_are_not_overloaded_are_not_read() {
    let packet = Packet { file: vec![12, 1, b'x', 255], sname: vec![12, 9], ..Packet::discover() };
    assert_eq!(packet.request().host_name, None);
}

#[test]
fn a_missing_end_is_tolerated_and_an_option_beyond_the_message_is_not() {
    let open = Packet { end: false, ..Packet::discover().with(12, b"host") };
    assert_eq!(open.request().host_name.as_deref(), Some(&b"host"[..]));
    assert!(open.request().selectors.is_none());
    for rest in [&[12][..], &[12, 1], &[12, 5, b'h'], &[200, 255]] {
        let mut packet = open.clone();
        packet.options.extend(rest);
        assert_eq!(packet.parse().err(), Some(Refusal::OptionsMalformed), "{rest:?}");
    }
}

#[test]
fn options_of_a_wrong_length_are_refused() {
    for (code, len) in [(50, 3), (50, 5), (54, 0), (57, 1), (57, 4), (53, 1)] {
        let packet = Packet::discover().with(code, &vec![1; len]);
        assert_eq!(packet.parse().err(), Some(Refusal::OptionsMalformed), "option {code} of {len} octets");
    }
}

/// RFC 2131 table 4.
#[test]
fn a_dhcprequest_has_one_of_four_states() {
    let other = Ipv4Addr::new(10, 9, 0, 99);
    let state = |packet: Packet| packet.request().state();
    assert_eq!(state(Packet::selecting(SERVER)), Ok(State::Selecting { server_id: SERVER }));
    assert_eq!(state(Packet::selecting(other)), Ok(State::Selecting { server_id: other }));
    assert_eq!(state(Packet::init_reboot()), Ok(State::InitReboot));
    assert_eq!(state(Packet::renewing()), Ok(State::Renewing));
    assert_eq!(state(Packet::rebinding()), Ok(State::Rebinding));
    for packet in [
        Packet::of(3),
        Packet::of(3).with(54, &SERVER.octets()),
        Packet::rebinding().with(50, &CLIENT.octets()),
        Packet::rebinding().with(54, &SERVER.octets()),
        Packet { ciaddr: CLIENT, ..Packet::selecting(SERVER) },
    ] {
        assert_eq!(state(packet), Err(Refusal::State));
    }
}

/// All that the slow path knows of a request, but for the bytes that it came in.
fn known(packet: &Packet) -> String {
    match packet.parse() {
        Ok(request) => format!("{:?}", Request { datagram: Box::new(Datagram::zeroed()), ..request }),
        Err(refusal) => refusal.to_string(),
    }
}

/// The kernel ignores an option because the slow path cannot tell whether it is there, and for no other reason.
#[test]
fn an_ignored_option_makes_no_difference() {
    let classes = options::classes();
    for packet in [Packet::discover(), Packet::renewing(), Packet::selecting(SERVER), Packet::inform()] {
        let without = known(&packet);
        for code in 1..255u8 {
            let class = classes.0[usize::from(code)];
            let makes_a_difference =
                (0..=9).any(|len| known(&packet.clone().with(code, &vec![1; len])) != without);
            // The walk passes a 51 of a wrong length, so that there are no selectors.
            let by_the_walk = STRUCTURAL.contains(&code) || code == LEASE_TIME;
            if class == CLASS_IGNORED && !by_the_walk {
                assert!(!makes_a_difference, "option {code} is ignored and makes a difference");
            } else if class != CLASS_PASS {
                assert!(makes_a_difference, "option {code} is read and makes none");
            }
        }
    }
}

/// The kernel's walk has the length of 51 checked, and passes a wrong one; here it is not read at all.
#[test]
fn the_lease_time_that_a_client_wishes_is_not_read() {
    assert_eq!(known(&Packet::discover().with(51, &[0, 0, 0, 1])), known(&Packet::discover()));
}
