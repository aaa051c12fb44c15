//! Leases: publishing, changing, closing, taking back.

use super::*;
use crate::{
    fastpath::leases::{lease_key, side_key},
    identity::ClientId,
};
use dhcp_ebpf::abi::{
    BootSecs, Bounds, Control, IDENTITY_CHADDR, IDENTITY_OPTION, Mac, NO_TEMPLATE, Promise,
};
use std::{net::Ipv4Addr, time::Instant};

const NETWORK: u32 = 1;
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const BOUNDS: Bounds = Bounds { horizon: BootSecs(7200), promised: BootSecs(3601) };
const HOST_NAME: u8 = 12;
const CLIENT_ID: u8 = 61;

fn client() -> ClientId {
    ClientId::from_chaddr(Mac([2, 0, 0, 0, 0, 1]))
}

fn publish(fast_path: &mut FastPath) -> u32 {
    fast_path.publish(NETWORK, ADDRESS, &client(), BOUNDS, 0, None, None).unwrap()
}

/// What the kernel has promised of [`ADDRESS`].
fn promised(end: u32) -> Promise {
    Promise { end: BootSecs(end), address: ADDRESS.into() }
}

/// A slot as the kernel gives it to a lookup: its words, and its identity.
fn raw(fast_path: &FastPath, slot: u32) -> (Control, Bounds, Promise, [u8; 40]) {
    let slots: Array<_, [u8; 64]> = fast_path.ebpf.map("SLOTS").unwrap().try_into().unwrap();
    let octets = slots.get(&slot, 0).unwrap();
    let word = |at: usize| u64::from_ne_bytes(octets[at..at + 8].try_into().unwrap());
    let identity = octets[24..].try_into().unwrap();
    (Control::from_word(word(0)), Bounds::from_word(word(8)), Promise::from_word(word(16)), identity)
}

fn side(fast_path: &FastPath, slot: u32, code: u8) -> Option<Vec<u8>> {
    match fast_path.side.get(&side_key(slot, code), 0) {
        Ok(Abi(value)) => Some(value.bytes[..value.len.into()].to_vec()),
        Err(MapError::KeyNotFound) => None,
        Err(error) => panic!("{error}"),
    }
}

fn found(fast_path: &FastPath, address: Ipv4Addr) -> Option<LeaseRef> {
    fast_path.leases.get(&lease_key(NETWORK, address), 0).ok().map(|Abi(found)| found)
}

#[test]
fn a_lease_is_published_closed_and_taken_back() {
    let mut fast_path = maps();
    let slot = fast_path.publish(NETWORK, ADDRESS, &client(), BOUNDS, 0, Some(5), Some(b"rack-7")).unwrap();
    assert_eq!((fast_path.used_slots(), fast_path.free_slots()), (1, 3));
    let (control, bounds, end, identity) = raw(&fast_path, slot);
    let generation = control.generation;
    let open = Control { open: true, kind: IDENTITY_CHADDR, len: 6, generation, profile: 0, template: 5 };
    assert_eq!((control, bounds, end), (open, BOUNDS, promised(0)));
    assert_eq!(identity[..7], [2, 0, 0, 0, 0, 1, 0]);
    assert_eq!(
        found(&fast_path, ADDRESS),
        Some(LeaseRef { slot, generation: u32::from(control.generation) })
    );
    assert_eq!(side(&fast_path, slot, HOST_NAME).unwrap(), b"rack-7");

    let refused = fast_path.unpublish(slot, NETWORK, ADDRESS).unwrap_err();
    assert!(matches!(refused, FastPathError::NotClosed { .. }), "open: {refused}");
    fast_path.close(slot);
    assert_eq!(raw(&fast_path, slot).0, Control { open: false, ..open });
    fast_path.reopen(slot);
    assert_eq!(raw(&fast_path, slot).0, open);
    fast_path.close(slot);
    membarrier::global().unwrap();
    let other = Ipv4Addr::new(192, 0, 2, 11);
    assert!(matches!(fast_path.unpublish(slot, NETWORK, other), Err(FastPathError::NotClosed { .. })));
    fast_path.unpublish(slot, NETWORK, ADDRESS).unwrap();
    assert_eq!(found(&fast_path, ADDRESS), None);
    assert_eq!(side(&fast_path, slot, HOST_NAME), None);
    assert_eq!(fast_path.free_slots(), 4);
    assert!(matches!(fast_path.unpublish(slot, NETWORK, ADDRESS), Err(FastPathError::NotClosed { .. })));
    assert_eq!(fast_path.free_slots(), 4, "a slot is given back once");
}

#[test]
fn a_slot_that_is_used_again_has_another_generation_and_nothing_of_the_lease_before() {
    let mut fast_path = maps();
    let id = ClientId::from_option(&[9; 40]).unwrap();
    let slot = fast_path.publish(NETWORK, ADDRESS, &id, BOUNDS, 0, Some(1), None).unwrap();
    let before = raw(&fast_path, slot);
    assert_eq!((before.0.kind, before.0.len, before.3), (IDENTITY_OPTION, 40, [9; 40]));
    fast_path.slots.set_end_like_the_kernel(slot, BootSecs(5000));
    fast_path.close(slot);
    fast_path.unpublish(slot, NETWORK, ADDRESS).unwrap();

    let later = Bounds { horizon: BootSecs(9000), promised: BootSecs(8001) };
    assert_eq!(fast_path.publish(NETWORK, ADDRESS, &client(), later, 0, None, None).unwrap(), slot);
    let (control, bounds, end, identity) = raw(&fast_path, slot);
    assert_eq!((bounds, end, control.template), (later, promised(0), NO_TEMPLATE));
    assert_eq!(identity[6..], [0; 34]);
    assert_ne!(control.generation, before.0.generation);
    assert_eq!(found(&fast_path, ADDRESS).unwrap().generation, u32::from(control.generation));
}

#[test]
fn the_generation_goes_round() {
    let mut fast_path = maps();
    let last = Control { generation: u16::MAX, ..fast_path.slots.control(0) };
    fast_path.slots.set_control(0, last);
    let slot = publish(&mut fast_path);
    assert_eq!((slot, raw(&fast_path, slot).0.generation), (0, 0));
    assert_eq!(found(&fast_path, ADDRESS).unwrap().generation, 0);
}

#[test]
fn an_identity_too_long_for_the_slot_stands_beside_it() {
    let mut fast_path = maps();
    for len in [41, 255] {
        let id = ClientId::from_option(&vec![7; len]).unwrap();
        let slot = fast_path.publish(NETWORK, ADDRESS, &id, BOUNDS, 0, None, None).unwrap();
        let (control, _, _, identity) = raw(&fast_path, slot);
        assert_eq!((usize::from(control.len), identity), (len, [0; 40]));
        assert_eq!(side(&fast_path, slot, CLIENT_ID).unwrap(), id.bytes());
        fast_path.close(slot);
        fast_path.unpublish(slot, NETWORK, ADDRESS).unwrap();
        assert_eq!(side(&fast_path, slot, CLIENT_ID), None);
    }
}

#[test]
fn host_names_change_and_go() {
    let mut fast_path = maps();
    let slot = publish(&mut fast_path);
    assert_eq!(side(&fast_path, slot, HOST_NAME), None);
    for name in [&b"a"[..], &[b'x'; 255], b"bc"] {
        fast_path.set_host_name(slot, Some(name)).unwrap();
        assert_eq!(side(&fast_path, slot, HOST_NAME).unwrap(), name);
    }
    for none in [None, Some(&b""[..]), Some(&[b'x'; 256])] {
        fast_path.set_host_name(slot, Some(b"there")).unwrap();
        fast_path.set_host_name(slot, none).unwrap();
        assert_eq!(side(&fast_path, slot, HOST_NAME), None);
    }
    fast_path.set_host_name(slot, None).unwrap();
}

#[test]
fn a_promise_rises_and_never_falls() {
    let mut fast_path = maps();
    let slot = publish(&mut fast_path);
    for (end, expected) in [(4000, 4000), (3999, 4000), (0, 4000), (u32::MAX, u32::MAX), (4001, u32::MAX)] {
        fast_path.promise(slot, BootSecs(end));
        let bounds = raw(&fast_path, slot).1;
        assert_eq!(bounds, Bounds { promised: BootSecs(expected), ..BOUNDS });
        assert_eq!(fast_path.lease_end(slot), BootSecs(expected));
    }
}

#[test]
fn what_the_kernel_promised_outlives_every_update_by_user_space() {
    let mut fast_path = maps();
    let slot = publish(&mut fast_path);
    let end = BootSecs(7000);
    fast_path.slots.set_end_like_the_kernel(slot, end);
    fast_path.promise(slot, BootSecs(6500));
    fast_path.set_horizon(slot, BootSecs(9000));
    fast_path.set_template(slot, Some(3));
    fast_path.set_host_name(slot, Some(b"name")).unwrap();
    fast_path.close(slot);
    fast_path.reopen(slot);

    let (control, bounds, kernel, _) = raw(&fast_path, slot);
    assert_eq!((kernel, control.template, control.open), (promised(7000), 3, true));
    assert_eq!(bounds, Bounds { horizon: BootSecs(9000), promised: BootSecs(6500) });
    assert_eq!((fast_path.kernel_end(slot), fast_path.lease_end(slot)), (end, end));
    fast_path.set_template(slot, None);
    assert_eq!(raw(&fast_path, slot).0.template, NO_TEMPLATE);
    fast_path.promise(slot, BootSecs(7001));
    assert_eq!((fast_path.kernel_end(slot), fast_path.lease_end(slot)), (end, BootSecs(7001)));
}

#[test]
fn an_address_is_published_once() {
    let mut fast_path = maps();
    let slot = publish(&mut fast_path);
    let before = found(&fast_path, ADDRESS);
    let twice = fast_path.publish(NETWORK, ADDRESS, &client(), BOUNDS, 0, None, Some(b"again"));
    assert!(matches!(twice, Err(FastPathError::Map { map: "LEASES", .. })), "{twice:?}");
    assert_eq!((found(&fast_path, ADDRESS), fast_path.used_slots()), (before, 1));
    assert!((0..SIZES.slots).all(|other| other == slot || !raw(&fast_path, other).0.open));
    assert!((0..SIZES.slots).all(|slot| side(&fast_path, slot, HOST_NAME).is_none()));
    fast_path.publish(NETWORK + 1, ADDRESS, &client(), BOUNDS, 0, None, None).expect("another network's");
}

#[test]
fn full_is_full_until_a_lease_is_taken_back() {
    let mut fast_path = maps();
    let address = |last: u32| Ipv4Addr::from(u32::from(ADDRESS) + last);
    let slots: Vec<_> = (0..SIZES.slots)
        .map(|last| fast_path.publish(NETWORK, address(last), &client(), BOUNDS, 0, None, None).unwrap())
        .collect();
    let full = fast_path.publish(NETWORK, address(9), &client(), BOUNDS, 0, None, None);
    assert!(matches!(full, Err(FastPathError::Full { slots: 4 })), "{full:?}");
    fast_path.close(slots[2]);
    fast_path.unpublish(slots[2], NETWORK, address(2)).unwrap();
    let again = fast_path.publish(NETWORK, address(9), &client(), BOUNDS, 0, None, None).unwrap();
    assert_eq!(again, slots[2]);
}

#[test]
#[ignore = "a measurement: cargo test --release -p dhcp-user -- --ignored --nocapture a_million"]
fn a_million_leases_are_published() {
    const LEASES: u32 = 1_000_000;
    let mut fast_path = FastPath::load_maps(Sizes { slots: LEASES, ..SIZES }).unwrap();
    let client = client();
    let start = Instant::now();
    for address in 0..LEASES {
        fast_path
            .publish(NETWORK, Ipv4Addr::from(0x0a00_0000 + address), &client, BOUNDS, 0, None, None)
            .unwrap();
    }
    println!("{LEASES} leases published in {:?}", start.elapsed());
    assert_eq!(fast_path.free_slots(), 0);
}
