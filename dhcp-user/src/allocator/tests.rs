//! The allocator's promises, one by one.

use super::{Allocator, BindError, Binding, Counts, Holder, NoOffer, Place};
use crate::{clock::StoreSecs, identity::ClientId};
use dhcp_ebpf::abi::{BootSecs, LeaseSecs, Mac};
use std::{net::Ipv4Addr, time::Instant};

const HOLD: u32 = 60;
const NOW: BootSecs = BootSecs(1000);

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn mac(n: u32) -> Mac {
    let [_, _, a, b] = n.to_be_bytes();
    let [c, d, ..] = n.to_be_bytes();
    Mac([2, 0, c, d, a, b])
}

fn client(n: u32) -> ClientId {
    ClientId::from_chaddr(mac(n))
}

fn binding(n: u32) -> Binding {
    Binding::new(client(n), mac(n), StoreSecs(0), BootSecs(2000), BootSecs(4000), None)
}

/// A pool of .10 to .14.
fn pool() -> Allocator {
    reserving(&[])
}

fn reserving(reservations: &[(Mac, Ipv4Addr)]) -> Allocator {
    Allocator::new(&[(ip(10), ip(14))], reservations, LeaseSecs(HOLD))
}

impl Allocator {
    fn offer_to(&mut self, n: u32) -> Result<Ipv4Addr, NoOffer> {
        self.offer(&client(n), mac(n), None, NOW)
    }

    fn bind_to(&mut self, n: u32, address: Ipv4Addr) {
        self.bind(address, binding(n)).unwrap();
    }

    fn close(&mut self, address: Ipv4Addr) {
        self.begin_close(address).unwrap();
        self.finish_close(address).unwrap();
    }
}

#[test]
fn an_offer_is_stable_over_retransmissions_and_held() {
    let mut addresses = pool();
    assert_eq!(addresses.offer_to(1), Ok(ip(10)));
    assert_eq!(addresses.offer_to(2), Ok(ip(11)));
    let again = BootSecs(NOW.0 + HOLD - 1);
    assert_eq!(addresses.offer(&client(1), mac(1), Some(ip(13)), again), Ok(ip(10)));
    assert_eq!(
        addresses.holder(ip(11)),
        Holder::Offered { client: &client(2), until: BootSecs(NOW.0 + HOLD) }
    );
    addresses.lapse_offers(BootSecs(NOW.0 + HOLD));
    assert_eq!(addresses.holder(ip(11)), Holder::Free { last: None }, "lapsed");
    assert!(matches!(addresses.holder(ip(10)), Holder::Offered { .. }), "asked for again, so held on");
    assert_eq!(addresses.bind(ip(10), binding(3)), Err(BindError::Taken));
    addresses.bind_to(1, ip(10));
    assert_eq!(addresses.counts(), Counts { free: 4, bound: 1, ..Counts::default() });
}

#[test]
fn an_offer_that_lapses_is_given_to_the_next_before_exhaustion() {
    let mut addresses = pool();
    for n in 0..5 {
        addresses.offer_to(n).unwrap();
    }
    assert_eq!(addresses.offer_to(9), Err(NoOffer::Exhausted));
    assert_eq!(addresses.offer(&client(9), mac(9), None, BootSecs(NOW.0 + HOLD)), Ok(ip(14)));
}

#[test]
fn same_client_same_address_until_someone_else_took_it() {
    let mut addresses = pool();
    addresses.bind_to(1, ip(12));
    assert_eq!(addresses.offer_to(1), Ok(ip(12)), "while bound");
    addresses.close(ip(12));
    assert_eq!(addresses.holder(ip(12)), Holder::Free { last: Some(&client(1)) });
    assert_eq!(addresses.offer_to(1), Ok(ip(12)), "after its release");
    addresses.withdraw_offer(&client(1)).unwrap();
    assert_eq!(addresses.offer(&client(2), mac(2), Some(ip(12)), NOW), Ok(ip(12)), "asked for by another");
    assert_eq!(addresses.offer_to(1), Ok(ip(10)));
    addresses.withdraw_offer(&client(1)).unwrap();
    addresses.withdraw_offer(&client(2)).unwrap();
    assert_eq!(addresses.offer_to(1), Ok(ip(12)), "an offer alone takes nothing");
    addresses.withdraw_offer(&client(1)).unwrap();
    addresses.bind_to(2, ip(12));
    addresses.close(ip(12));
    assert_eq!(addresses.offer_to(1), Ok(ip(10)));
    assert_eq!(addresses.record_of(&client(1)), None);
}

#[test]
fn a_requested_address_is_honoured_where_it_can_be() {
    let mut addresses = reserving(&[(mac(7), ip(14)), (mac(8), ip(99))]);
    let mut ask = |n, address| addresses.offer(&client(n), mac(n), Some(address), NOW);
    assert_eq!(ask(1, ip(13)), Ok(ip(13)));
    assert_eq!(ask(2, ip(13)), Ok(ip(10)), "offered to another");
    assert_eq!(ask(3, ip(14)), Ok(ip(11)), "reserved for another");
    assert_eq!(ask(4, ip(99)), Ok(ip(12)), "reserved for another, outside the pool");
    assert_eq!(ask(5, ip(200)), Err(NoOffer::Exhausted), "not of the pool");
}

#[test]
fn never_used_goes_first_then_the_least_recently_used() {
    let mut addresses = pool();
    for n in 0..3 {
        let address = addresses.offer_to(n).unwrap();
        addresses.bind_to(n, address);
    }
    for address in [ip(11), ip(10), ip(12)] {
        addresses.close(address);
    }
    let order: Vec<_> = (10..15).map(|n| addresses.offer_to(n).unwrap()).collect();
    assert_eq!(order, [ip(13), ip(14), ip(11), ip(10), ip(12)]);
}

#[test]
fn a_lapsed_offer_leaves_the_order_of_the_used_ones() {
    let mut addresses = pool();
    for n in 0..5 {
        addresses.bind_to(n, ip(10 + n as u8));
        addresses.close(ip(10 + n as u8));
    }
    assert_eq!(addresses.offer_to(20), Ok(ip(10)));
    addresses.withdraw_offer(&client(20));
    assert_eq!(addresses.offer_to(21), Ok(ip(11)), "one that was held a moment ago goes last");
}

#[test]
fn a_reserved_address_goes_to_its_owner_alone() {
    let mut addresses = reserving(&[(mac(1), ip(10)), (mac(2), ip(99))]);
    assert_eq!(addresses.counts(), Counts { free: 4, reserved: 2, ..Counts::default() });
    assert_eq!(addresses.counts().total(), 6);
    assert_eq!(addresses.reservation(mac(2)), Some(ip(99)));
    assert_eq!(addresses.place(ip(99)), Place::Reserved(mac(2)));
    for n in 3..7 {
        assert_ne!(addresses.offer_to(n).unwrap(), ip(10));
    }
    assert_eq!(addresses.offer_to(8), Err(NoOffer::Exhausted));
    assert_eq!(addresses.bind(ip(10), binding(8)), Err(BindError::Reserved));
    assert_eq!(addresses.offer_to(1), Ok(ip(10)));
    assert_eq!(addresses.offer_to(2), Ok(ip(99)));
    addresses.bind_to(2, ip(99));
    addresses.close(ip(99));
    assert_eq!(addresses.offer_to(2), Ok(ip(99)));
}

#[test]
fn a_reservation_waits_for_the_address_and_its_owner_moves_there() {
    let mut addresses = reserving(&[(mac(1), ip(10))]);
    addresses.restore(ip(10), binding(5)).unwrap();
    assert_eq!(addresses.offer_to(1), Ok(ip(11)), "a dynamic one until then");
    addresses.bind_to(1, ip(11));
    assert_eq!(addresses.offer_to(1), Ok(ip(11)));
    assert_eq!(addresses.offer_to(5), Ok(ip(12)), "the holder is to move too");
    addresses.close(ip(10));
    assert_eq!(addresses.offer_to(1), Ok(ip(10)), "at the holder's end");
    assert_eq!(addresses.bind(ip(10), binding(1)), Err(BindError::Elsewhere(ip(11))));
    addresses.close(ip(11));
    addresses.bind_to(1, ip(10));
    assert_eq!(addresses.record_of(&client(1)).unwrap().0, ip(10));
    assert_eq!(addresses.holder(ip(11)), Holder::Free { last: None }, "it has another one now");
}

#[test]
fn two_identities_of_one_host_do_not_share_a_reservation() {
    let mut addresses = reserving(&[(mac(1), ip(10))]);
    let other = ClientId::from_option(&[0xff, 1, 2]).unwrap();
    addresses.bind_to(1, ip(10));
    assert_eq!(addresses.offer(&other, mac(1), None, NOW), Ok(ip(11)));
}

#[test]
fn a_closing_address_is_nobodys() {
    let mut addresses = pool();
    addresses.bind_to(1, ip(10));
    addresses.schedule(ip(10), BootSecs(1500)).unwrap();
    addresses.begin_close(ip(10)).unwrap();
    assert!(matches!(addresses.holder(ip(10)), Holder::Closing(binding) if binding.client() == &client(1)));
    assert_eq!(addresses.counts(), Counts { free: 4, closing: 1, ..Counts::default() });
    assert!(addresses.binding_mut(ip(10)).is_none(), "not renewed");
    assert!(addresses.take_due(BootSecs(9999)).is_empty(), "not due");
    assert_eq!(addresses.offer_to(1), Err(NoOffer::Closing(ip(10))));
    assert_eq!(addresses.offer(&client(2), mac(2), Some(ip(10)), NOW), Ok(ip(11)));
    assert_eq!(addresses.bind(ip(10), binding(1)), Err(BindError::Taken));
    assert!(addresses.begin_close(ip(10)).is_err());
    addresses.reopen(ip(10)).unwrap();
    assert!(addresses.finish_close(ip(10)).is_err());
    assert!(addresses.reopen(ip(10)).is_err());
    assert_eq!(addresses.offer_to(1), Ok(ip(10)));
    addresses.close(ip(10));
    assert!(addresses.begin_close(ip(10)).is_err());
    assert!(addresses.begin_close(ip(200)).is_err());
}

#[test]
fn a_declined_address_is_in_quarantine_and_its_client_gets_another() {
    let mut addresses = pool();
    addresses.bind_to(1, ip(10));
    assert!(addresses.quarantine(ip(10), BootSecs(2000)).is_err(), "a bound lease is closed first");
    addresses.begin_close(ip(10)).unwrap();
    addresses.quarantine(ip(10), BootSecs(2000)).unwrap();
    assert_eq!(addresses.holder(ip(10)), Holder::Quarantined { until: BootSecs(2000) });
    assert_eq!(addresses.offer(&client(1), mac(1), Some(ip(10)), NOW), Ok(ip(11)));
    addresses.quarantine(ip(11), BootSecs(3000)).unwrap();
    assert_eq!(addresses.offer_to(1), Ok(ip(12)), "a probe found someone at the offered one");
    addresses.quarantine(ip(11), BootSecs(2500)).unwrap();
    assert!(addresses.quarantine(ip(200), BootSecs(2000)).is_err());
    assert_eq!(addresses.counts(), Counts { free: 2, offered: 1, quarantined: 2, ..Counts::default() });
    assert!(addresses.take_due(BootSecs(1999)).is_empty());
    assert!(addresses.take_due(BootSecs(2500)).is_empty());
    assert_eq!(addresses.counts(), Counts { free: 4, offered: 1, ..Counts::default() });
}

#[test]
fn leases_are_due_once_and_in_order() {
    let mut addresses = pool();
    for n in 0..4 {
        addresses.bind_to(n, ip(10 + n as u8));
    }
    addresses.schedule(ip(10), BootSecs(1300)).unwrap();
    addresses.schedule(ip(11), BootSecs(1100)).unwrap();
    addresses.schedule(ip(12), BootSecs(1200)).unwrap();
    addresses.schedule(ip(12), BootSecs(1400)).unwrap();
    addresses.schedule(ip(13), BootSecs(1200)).unwrap();
    addresses.schedule(ip(13), BootSecs::NEVER).unwrap();
    assert!(addresses.schedule(ip(14), BootSecs(1)).is_err(), "not bound");
    assert!(addresses.take_due(BootSecs(1099)).is_empty());
    assert_eq!(addresses.take_due(BootSecs(1300)), [ip(11), ip(10)]);
    assert!(addresses.take_due(BootSecs(1300)).is_empty());
    assert_eq!(addresses.take_due(BootSecs(u32::MAX)), [ip(12)]);
}

#[test]
fn a_lease_of_another_configuration_holds_and_is_not_given_again() {
    let mut addresses = pool();
    addresses.restore(ip(200), binding(1)).unwrap();
    assert_eq!(addresses.counts(), Counts { free: 5, bound: 1, ..Counts::default() });
    assert_eq!(addresses.binding_of(&client(1)).unwrap().0, ip(200));
    addresses.binding_mut(ip(200)).unwrap().slot = Some(4);
    assert_eq!(addresses.bindings().map(|(address, _)| address).collect::<Vec<_>>(), [ip(200)]);
    assert_eq!(addresses.offer(&client(1), mac(1), Some(ip(200)), NOW), Ok(ip(10)), "it is to move");
    addresses.begin_close(ip(200)).unwrap();
    assert_eq!(addresses.finish_close(ip(200)).unwrap().slot, Some(4));
    assert_eq!(addresses.holder(ip(200)), Holder::Unknown);
    assert_eq!(addresses.record_of(&client(1)), None);
    assert_eq!(addresses.bind(ip(200), binding(1)), Err(BindError::Unknown));
    assert_eq!(addresses.offer(&client(2), mac(2), Some(ip(200)), NOW), Ok(ip(11)));
    assert_eq!(addresses.counts().total(), 5);
}

#[test]
fn a_start_takes_over_what_the_store_has() {
    let mut addresses = pool();
    addresses.restore_last(ip(12), &client(2));
    addresses.restore_last(ip(10), &client(0));
    addresses.restore_last(ip(14), &client(2));
    addresses.restore_last(ip(200), &client(3));
    addresses.restore(ip(11), binding(1)).unwrap();
    addresses.restore_last(ip(13), &client(1));
    addresses.quarantine(ip(13), BootSecs(5000)).unwrap();
    assert!(addresses.restore(ip(13), binding(4)).is_err());
    assert_eq!(addresses.record_of(&client(2)).unwrap().0, ip(14), "the last of two");
    assert_eq!(addresses.record_of(&client(3)), None, "not an address of this network");
    assert_eq!(addresses.record_of(&client(1)).unwrap().0, ip(11), "bound, so the other is forgotten");
    assert_eq!(addresses.offer_to(7), Ok(ip(12)));
    assert_eq!(addresses.offer_to(8), Ok(ip(10)));
    assert_eq!(addresses.offer_to(9), Ok(ip(14)));
}

#[test]
fn two_leases_of_one_client_both_hold() {
    let mut addresses = pool();
    let mut longer = binding(1);
    longer.end = BootSecs(9000);
    addresses.restore(ip(10), longer).unwrap();
    addresses.restore(ip(11), binding(1)).unwrap();
    assert_eq!(addresses.counts().bound, 2);
    assert_eq!(addresses.record_of(&client(1)).unwrap().0, ip(10));
    addresses.close(ip(11));
    assert_eq!(addresses.record_of(&client(1)).unwrap().0, ip(10));
    addresses.close(ip(10));
    assert_eq!(addresses.holder(ip(10)), Holder::Free { last: Some(&client(1)) });
}

#[test]
fn pools_that_overlap_or_run_backwards_are_what_they_hold() {
    let addresses = Allocator::new(
        &[(ip(20), ip(22)), (ip(10), ip(12)), (ip(11), ip(14)), (ip(12), ip(13)), (ip(31), ip(30))],
        &[],
        LeaseSecs(HOLD),
    );
    assert_eq!(addresses.counts().free, 8);
    for last in [10, 14, 20, 22] {
        assert_eq!(addresses.holder(ip(last)), Holder::Free { last: None }, "{last}");
    }
    for last in [9, 15, 19, 23, 30, 31] {
        assert_eq!(addresses.holder(ip(last)), Holder::Unknown, "{last}");
    }
}

/// Quick even in a debug build, which a linear search for anything would not be.
#[test]
fn a_million_addresses_fill_and_drain() {
    const SIZE: u32 = 1_000_000;
    let began = Instant::now();
    let first = Ipv4Addr::new(10, 0, 0, 0);
    let last = Ipv4Addr::from_bits(first.to_bits() + SIZE - 1);
    let mut addresses = Allocator::new(&[(first, last)], &[], LeaseSecs(HOLD));
    for n in 0..SIZE {
        let address = addresses.offer_to(n).unwrap();
        addresses.bind_to(n, address);
        addresses.schedule(address, BootSecs(2000 + n % 1000)).unwrap();
    }
    assert_eq!(addresses.offer_to(SIZE), Err(NoOffer::Exhausted));
    assert_eq!(addresses.counts(), Counts { bound: SIZE, ..Counts::default() });
    let due = addresses.take_due(BootSecs(3000));
    assert_eq!(due.len(), SIZE as usize);
    for address in &due {
        addresses.close(*address);
    }
    assert_eq!(addresses.counts(), Counts { free: SIZE, ..Counts::default() });
    assert_eq!(addresses.offer_to(SIZE), Ok(due[0]), "the one that fell free first");
    assert!(began.elapsed().as_secs() < 120, "{:?}", began.elapsed());
}
