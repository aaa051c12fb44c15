//! The slow path's ACK and the kernel's, for the same request and from the template that the slow path made:
//! the same bytes.

use super::*;
use crate::protocol::{Kind, options, reply};
use dhcp_ebpf::{
    abi::{
        BootSecs, Bounds, Classes, Control, IDENTITY_MAX, LeaseKey, LeaseRef, LinkKey, Network, Promise,
        ShapeKey, SideKey, SideValue, Slot, Template,
    },
    decide::{Scratch, Tables, decide},
    reason::Reason,
    reply::write,
    wire::{
        Datagram,
        ethernet::{self, Ethernet, HEAD_LEN, HEADER_MAX},
    },
};
use std::sync::atomic::AtomicU64;
use zerocopy::IntoBytes;

const NOW: BootSecs = BootSecs(1_000);

/// Maps with one lease of [`CLIENT`] and its template.
struct Maps {
    link: Link,
    network: Network,
    classes: Classes,
    slot: Slot,
    host_name: SideValue,
    template: Template,
}

impl Maps {
    /// As the slow path publishes what it answers to `request`.
    fn after(request: &Request) -> Self {
        let made = replies().ack(request);
        assert!(made.publishable);
        let client = &request.client;
        let mut identity = [0; IDENTITY_MAX];
        identity[..client.bytes().len()].copy_from_slice(client.bytes());
        let control = Control {
            open: true,
            kind: client.kind(),
            len: client.bytes().len() as u8,
            generation: 3,
            profile: 0,
            template: 0,
        };
        let bounds = Bounds { horizon: BootSecs(1_000_000), promised: BootSecs(NOW.0 + 10) };
        let name = request.host_name.as_deref().unwrap_or_default();
        let mut host_name = SideValue { len: name.len() as u8, bytes: [0; 255] };
        host_name.bytes[..name.len()].copy_from_slice(name);
        Self {
            link: link(),
            network: Network { answers: 0b1111, epoch: 7 },
            classes: options::classes(),
            slot: Slot {
                control: AtomicU64::new(control.to_word()),
                bounds: AtomicU64::new(bounds.to_word()),
                end: AtomicU64::new(
                    Promise { end: BootSecs(0), address: request.address().into() }.to_word(),
                ),
                identity,
            },
            host_name,
            template: *made.template,
        }
    }

    /// The frame that the kernel answers with.
    fn kernel(&self, bytes: &[u8]) -> Result<Vec<u8>, Reason> {
        let head: &[u8; HEAD_LEN] = bytes.first_chunk().unwrap();
        let from = Ethernet::of_dhcp(head).ok_or(Reason::NotDhcp)?;
        let datagram = Datagram::copy_of(&bytes[from.len..]).unwrap();
        let mut scratch = Scratch::default();
        let answer = decide(self, 5, &from, &datagram, bytes.len() - from.len, &mut scratch)?;
        let Scratch { patches, options, .. } = &scratch;
        let mut reply = Datagram::zeroed();
        let len = write(&mut reply, &datagram, answer.template, patches, &options.echoed).unwrap();
        let mut header: [u8; HEADER_MAX] = *bytes.first_chunk().unwrap();
        ethernet::address(&mut header, patches.to.mac, answer.mac);
        Ok([&header[..from.len], &reply.as_bytes()[..usize::from(len)]].concat())
    }
}

impl Tables for Maps {
    fn link(&self, key: &LinkKey) -> Option<&Link> {
        (*key == LinkKey { ifindex: 5, outer: 0, inner: 0 }).then_some(&self.link)
    }
    fn relay(&self, _: Ip) -> Option<u32> {
        None
    }
    fn network(&self, id: u32) -> Option<&Network> {
        (id == 0).then_some(&self.network)
    }
    fn classes(&self, network: u32) -> Option<&Classes> {
        (network == 0).then_some(&self.classes)
    }
    fn lease(&self, key: &LeaseKey) -> Option<LeaseRef> {
        let found = *key == LeaseKey { network: 0, address: CLIENT.into() };
        found.then_some(LeaseRef { slot: 0, generation: 3 })
    }
    fn slot(&self, index: u32) -> Option<&Slot> {
        (index == 0).then_some(&self.slot)
    }
    fn side(&self, key: &SideKey) -> Option<&SideValue> {
        (*key == SideKey { slot: 0, code: 12 }).then_some(&self.host_name)
    }
    fn template(&self, id: u32) -> Option<&Template> {
        (id == 0).then_some(&self.template)
    }
    fn shape(&self, _: &ShapeKey) -> Option<u32> {
        None
    }
    fn boot_ns(&self) -> u64 {
        u64::from(NOW.0) * 1_000_000_000
    }
}

/// The frame that the slow path answers with.
fn slow(request: &Request) -> Vec<u8> {
    let made = replies().ack(request);
    reply::frame(request, &made.template, Kind::Ack { yiaddr: CLIENT }).unwrap()
}

#[test]
fn both_paths_answer_with_the_same_bytes() {
    let second = Ipv4Addr::new(10, 9, 0, 7);
    let router = Mac([2, 9, 9, 9, 9, 9]);
    for state in [
        Packet::renewing(),
        Packet { dst: second, source: router, ..Packet::renewing() },
        Packet::rebinding(),
        Packet { flags: 0x8000, ..Packet::rebinding() },
        Packet::init_reboot(),
        Packet { flags: 0x8000, ..Packet::init_reboot() },
        Packet::selecting(SERVER),
        Packet::selecting(second),
    ] {
        for packet in [
            state.clone(),
            state.clone().with(61, &[1, 2, 0, 0, 0, 1, 2]),
            state.clone().with(55, &[3, 1, 6]).with(12, b"host").with(60, b"vendor"),
            state.clone().with(57, &[5, 0xdc]).with(61, &[9; 40]).with(55, &[15, 28, 51, 58, 59]),
        ] {
            let request = packet.request();
            let kernel = Maps::after(&request).kernel(&packet.bytes());
            assert_eq!(kernel, Ok(slow(&request)), "{:?}", packet.options);
        }
    }
}

/// What was published for one shape does not answer another.
#[test]
fn a_template_answers_its_own_shape_alone() {
    let maps = Maps::after(&Packet::renewing().with(55, &[1, 3]).request());
    assert!(maps.kernel(&Packet::rebinding().with(55, &[1, 3]).bytes()).is_ok());
    for other in [Packet::renewing(), Packet::renewing().with(55, &[3, 1])] {
        assert_eq!(maps.kernel(&other.bytes()), Err(Reason::NoTemplate));
    }
}

/// The kernel passes every request whose options the slow path reads in a way of its own.
#[test]
fn the_kernel_passes_what_has_no_selectors() {
    let maps = Maps::after(&Packet::renewing().request());
    for packet in [
        Packet::renewing().with(61, &[1]),
        Packet::renewing().with(52, &[1]),
        Packet::renewing().with(82, &[1, 1, 1]),
        Packet { end: false, ..Packet::renewing() },
        Packet::renewing().with(55, &[1]).with(55, &[3]),
    ] {
        assert!(packet.request().selectors.is_none(), "{:?}", packet.options);
        assert!(maps.kernel(&packet.bytes()).is_err(), "{:?}", packet.options);
    }
    assert!(maps.kernel(&Packet::renewing().bytes()).is_ok());
}
