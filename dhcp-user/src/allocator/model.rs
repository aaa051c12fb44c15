//! The allocator against a model that searches instead of keeping lists: thousands of random steps, after each
//! of which both say the same of every address, every client and the order of reuse.

use super::{Allocator, BindError, Binding, Claims, Counts, Holder, NoOffer, Place, arena::State};
use crate::{clock::StoreSecs, identity::ClientId};
use dhcp_ebpf::abi::{BootSecs, LeaseSecs, Mac};
use std::net::Ipv4Addr;

const HOLD: u32 = 10;
const CLIENTS: u8 = 14;
const STEPS: u32 = 20_000;

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32 % limit
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Is {
    Free,
    Offered(u8, u32),
    Bound(u8),
    Closing(u8),
    Quarantined(u32),
}

#[derive(Clone, Copy, Debug)]
struct Address {
    address: Ipv4Addr,
    place: Place,
    is: Is,
    last: Option<u8>,
    /// Free addresses are given in this order.
    rank: i64,
    /// When a bound lease is due.
    due: Option<u32>,
}

struct Model {
    addresses: Vec<Address>,
    now: u32,
    ranks: i64,
}

fn mac(client: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, client])
}

fn id(client: u8) -> ClientId {
    ClientId::from_chaddr(mac(client))
}

fn binding(client: u8) -> Binding {
    Binding::new(id(client), mac(client), StoreSecs(0), BootSecs(0), BootSecs(0), None)
}

impl Model {
    fn position(&self, found: impl Fn(&Address) -> bool) -> Option<usize> {
        self.addresses.iter().position(found)
    }

    fn held(&self, client: u8) -> Option<usize> {
        self.position(|a| a.is == Is::Bound(client) || a.is == Is::Closing(client))
    }

    fn offered(&self, client: u8) -> Option<usize> {
        self.position(|a| matches!(a.is, Is::Offered(to, _) if to == client))
    }

    fn may_have(&self, at: usize, client: u8) -> bool {
        [Place::Pool, Place::Reserved(mac(client))].contains(&self.addresses[at].place)
    }

    fn next_rank(&mut self) -> i64 {
        self.ranks += 1;
        self.ranks
    }

    fn free(&mut self, at: usize) {
        let rank = self.next_rank();
        let before = self.addresses[at].is;
        let unused = matches!(before, Is::Offered(..)) && self.addresses[at].last.is_none();
        self.addresses[at].rank = if unused { -rank } else { rank };
        self.addresses[at].is = Is::Free;
    }

    fn withdraw(&mut self, client: u8) -> Option<Ipv4Addr> {
        let at = self.offered(client)?;
        self.free(at);
        Some(self.addresses[at].address)
    }

    /// Offers lapse in the order of their times, and those of one second in the order in which they were made.
    fn lapse(&mut self, made: &mut Vec<u8>) {
        made.retain(|client| self.offered(*client).is_some());
        for client in made.clone() {
            let at = self.offered(client).unwrap();
            if matches!(self.addresses[at].is, Is::Offered(_, until) if until <= self.now) {
                self.free(at);
            }
        }
    }

    fn offer(
        &mut self,
        client: u8,
        requested: Option<Ipv4Addr>,
        made: &mut Vec<u8>,
    ) -> Result<Ipv4Addr, NoOffer> {
        self.lapse(made);
        let free = |a: &Address| a.is == Is::Free;
        let head = (0..self.addresses.len())
            .filter(|at| free(&self.addresses[*at]) && self.addresses[*at].place == Place::Pool)
            .min_by_key(|at| self.addresses[*at].rank);
        let wishes = [
            self.position(|a| a.place == Place::Reserved(mac(client))),
            self.held(client),
            self.offered(client),
            self.position(|a| a.last == Some(client)),
            self.position(|a| Some(a.address) == requested),
            head,
        ];
        for at in wishes.into_iter().flatten() {
            if !self.may_have(at, client) {
                continue;
            }
            let Address { address, is, .. } = self.addresses[at];
            match is {
                Is::Bound(by) if by == client => return Ok(address),
                Is::Closing(by) if by == client => return Err(NoOffer::Closing(address)),
                Is::Offered(to, _) if to == client => {}
                Is::Free => _ = self.withdraw(client),
                _ => continue,
            }
            self.addresses[at].is = Is::Offered(client, self.now + HOLD);
            made.retain(|other| *other != client);
            made.push(client);
            return Ok(address);
        }
        Err(NoOffer::Exhausted)
    }

    fn bind(&mut self, client: u8, at: usize) -> Result<(), BindError> {
        let Address { place, is, .. } = self.addresses[at];
        match place {
            Place::Outside => return Err(BindError::Unknown),
            Place::Reserved(other) if other != mac(client) => return Err(BindError::Reserved),
            _ => {}
        }
        if is != Is::Free && self.offered(client) != Some(at) {
            return Err(BindError::Taken);
        }
        if let Some(other) = self.held(client) {
            return Err(BindError::Elsewhere(self.addresses[other].address));
        }
        self.withdraw(client);
        for address in self.addresses.iter_mut().filter(|a| a.last == Some(client)) {
            address.last = None;
        }
        let entry = &mut self.addresses[at];
        (entry.is, entry.last, entry.due) = (Is::Bound(client), None, None);
        Ok(())
    }

    fn take_due(&mut self) -> Vec<Ipv4Addr> {
        let mut due: Vec<(u32, usize)> = Vec::new();
        for (at, address) in self.addresses.iter().enumerate() {
            match address.is {
                Is::Quarantined(until) => due.push((until, at)),
                _ => due.extend(address.due.map(|when| (when, at))),
            }
        }
        due.retain(|(when, _)| *when <= self.now);
        due.sort_unstable();
        let mut bound = Vec::new();
        for (_, at) in due {
            if let Is::Quarantined(_) = self.addresses[at].is {
                self.free(at);
            } else {
                self.addresses[at].due = None;
                bound.push(self.addresses[at].address);
            }
        }
        bound
    }

    fn compare(&self, allocator: &Allocator) {
        let mut counts = Counts::default();
        for a in &self.addresses {
            let last = a.last.map(id);
            match (a.is, allocator.holder(a.address)) {
                (Is::Free, Holder::Unknown) => assert_eq!(a.place, Place::Outside),
                (Is::Free, Holder::Free { last: found }) => {
                    assert_eq!(found, last.as_ref(), "{a:?}");
                    *if a.place == Place::Pool { &mut counts.free } else { &mut counts.reserved } += 1;
                }
                (Is::Offered(to, at), Holder::Offered { client, until }) => {
                    assert_eq!((client, until), (&id(to), BootSecs(at)), "{a:?}");
                    counts.offered += 1;
                }
                (Is::Bound(by), Holder::Bound(binding)) => {
                    assert_eq!((binding.client(), binding.due()), (&id(by), a.due.map(BootSecs)), "{a:?}");
                    counts.bound += 1;
                }
                (Is::Closing(by), Holder::Closing(binding)) => {
                    assert_eq!(binding.client(), &id(by), "{a:?}");
                    counts.closing += 1;
                }
                (Is::Quarantined(at), Holder::Quarantined { until }) => {
                    assert_eq!(until, BootSecs(at), "{a:?}");
                    counts.quarantined += 1;
                }
                (_, holder) => panic!("{a:?} is {holder:?}"),
            }
        }
        assert_eq!(allocator.counts(), counts);
        for client in 0..CLIENTS {
            let record = self.held(client).or_else(|| self.position(|a| a.last == Some(client)));
            let claims = allocator.claims(&id(client));
            assert_eq!(
                claims.held.map(|spot| allocator.arena[spot].address),
                self.address(record),
                "{client}"
            );
            let offered = claims.offered.map(|spot| allocator.arena[spot].address);
            assert_eq!(offered, self.address(self.offered(client)), "{client}");
            assert_eq!(allocator.clients.contains_key(&id(client)), claims != Claims::default(), "forgotten");
        }
        let mut free: Vec<_> =
            self.addresses.iter().filter(|a| a.is == Is::Free && a.place == Place::Pool).collect();
        free.sort_unstable_by_key(|a| a.rank);
        let listed = allocator.free.iter(&allocator.arena).map(|spot| allocator.arena[spot].address);
        assert!(listed.eq(free.iter().map(|a| a.address)), "the order of reuse");
        let offers: Vec<_> = allocator
            .offers
            .iter(&allocator.arena)
            .map(|spot| match &allocator.arena[spot].state {
                State::Offered(offer) => offer.until,
                state => panic!("{state:?} among the offers"),
            })
            .collect();
        assert!(offers.is_sorted() && offers.len() == counts.offered as usize);
        let due = self.addresses.iter().filter(|a| a.due.is_some() || matches!(a.is, Is::Quarantined(_)));
        assert_eq!(allocator.due.len(), due.count(), "one entry for each that is due");
    }

    fn address(&self, at: Option<usize>) -> Option<Ipv4Addr> {
        at.map(|at| self.addresses[at].address)
    }
}

fn run(seed: u64) {
    let ip = |last| Ipv4Addr::new(10, 0, 0, last);
    let reservations = [(mac(0), ip(12)), (mac(1), ip(99))];
    let mut allocator = Allocator::new(&[(ip(10), ip(15)), (ip(20), ip(23))], &reservations, LeaseSecs(HOLD));
    allocator.restore(ip(200), binding(2)).unwrap();
    let mut model = Model { addresses: Vec::new(), now: 100, ranks: 0 };
    for last in (10..=15).chain(20..=23).chain([99, 200]) {
        let (place, is) = match last {
            12 => (Place::Reserved(mac(0)), Is::Free),
            99 => (Place::Reserved(mac(1)), Is::Free),
            200 => (Place::Outside, Is::Bound(2)),
            _ => (Place::Pool, Is::Free),
        };
        let rank = model.next_rank();
        model.addresses.push(Address { address: ip(last), place, is, last: None, rank, due: None });
    }
    let mut made = Vec::new();
    let mut random = Random(seed);
    for _ in 0..STEPS {
        let client = random.below(u32::from(CLIENTS)) as u8;
        let at = random.below(model.addresses.len() as u32) as usize;
        let address = model.addresses[at].address;
        let is = model.addresses[at].is;
        let now = BootSecs(model.now);
        match random.below(16) {
            0..=3 => {
                let requested = (random.below(2) == 0).then_some(address);
                let expected = model.offer(client, requested, &mut made);
                assert_eq!(allocator.offer(&id(client), mac(client), requested, now), expected);
            }
            4..=6 => {
                let at = model.offered(client).filter(|_| random.below(4) > 0).unwrap_or(at);
                let expected = model.bind(client, at);
                assert_eq!(allocator.bind(model.addresses[at].address, binding(client)), expected);
            }
            7 => assert_eq!(allocator.withdraw_offer(&id(client)), model.withdraw(client)),
            8 | 9 => {
                let bound = matches!(is, Is::Bound(_));
                assert_eq!(allocator.begin_close(address).is_ok(), bound);
                if let Is::Bound(by) = is {
                    (model.addresses[at].is, model.addresses[at].due) = (Is::Closing(by), None);
                }
            }
            10 | 11 => {
                let finished = allocator.finish_close(address).ok().map(|binding| binding.client().clone());
                let expected = if let Is::Closing(by) = is { Some(by) } else { None };
                assert_eq!(finished, expected.map(id));
                if expected.is_some() {
                    model.addresses[at].last =
                        expected.filter(|_| model.addresses[at].place != Place::Outside);
                    model.free(at);
                }
            }
            12 => {
                assert_eq!(allocator.reopen(address).is_ok(), matches!(is, Is::Closing(_)));
                if let Is::Closing(by) = is {
                    model.addresses[at].is = Is::Bound(by);
                }
            }
            13 => {
                let until = model.now + random.below(20);
                let gone = is == Is::Free && model.addresses[at].place == Place::Outside;
                let expected = !gone && !matches!(is, Is::Bound(_));
                assert_eq!(allocator.quarantine(address, BootSecs(until)).is_ok(), expected);
                if expected {
                    model.addresses[at].is = Is::Quarantined(until);
                    model.addresses[at].last = None;
                }
            }
            14 => {
                let when = model.now + random.below(30);
                let bound = matches!(is, Is::Bound(_));
                assert_eq!(allocator.schedule(address, BootSecs(when)).is_ok(), bound);
                if bound {
                    model.addresses[at].due = Some(when);
                }
            }
            _ => {
                model.now += random.below(6);
                assert_eq!(allocator.take_due(BootSecs(model.now)), model.take_due());
            }
        }
        model.compare(&allocator);
    }
}

#[test]
fn random_steps_agree_with_the_model() {
    for seed in [1, 0x9e37_79b9_7f4a_7c15, 0xdead_beef, 42] {
        // The panic of a step shows this with the test's captured output.
        println!("seed {seed:#x}");
        run(seed);
    }
}
