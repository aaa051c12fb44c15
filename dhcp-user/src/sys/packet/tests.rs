//! Frames from one end of a veth to the other, in namespaces of their own.

use super::*;
use crate::sys::testnet::{Namespace, await_running, index, ip};
use std::{
    net::UdpSocket,
    thread,
    time::{Duration, Instant},
};

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];
const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 3];
const IPV4: [u8; 2] = [0x08, 0x00];

/// The server's end `v0` here, the client's end `v1` in a namespace of its own.
struct Wire {
    here: Namespace,
    there: Namespace,
    ours: PacketSocket,
    theirs: PacketSocket,
}

impl Wire {
    fn new() -> Self {
        let (here, there) = (Namespace::new(), Namespace::new());
        let path = there.path();
        let ours = here.run(|| {
            ip(&format!("link add v0 address 02:00:00:00:00:01 type veth peer name v1 address 02:00:00:00:00:02 netns {path}"));
            ip("address add 192.0.2.1/24 dev v0");
            ip("link set v0 up");
            PacketSocket::open(index("v0")).unwrap()
        });
        let theirs = there.run(|| {
            ip("address add 192.0.2.2/24 dev v1");
            ip("link set v1 up");
            PacketSocket::open(index("v1")).unwrap()
        });
        here.run(|| await_running("v0"));
        Self { here, there, ours, theirs }
    }

    /// What arrives at our end until nothing has for a while, each frame judged by `view`.
    fn arrivals<T>(&self, view: impl Fn(Frame<'_>) -> T) -> Vec<T> {
        let mut batch = Batch::for_mtu(1500);
        let mut seen = Vec::new();
        let mut quiet_since = Instant::now();
        while quiet_since.elapsed() < Duration::from_millis(200) {
            if self.ours.receive(&mut batch).is_ok() {
                seen.extend(batch.frames().map(&view));
                quiet_since = Instant::now();
            }
            thread::sleep(Duration::from_millis(1));
        }
        seen
    }
}

/// An Ethernet frame: `tags` with the EtherType, an IP header of `ihl` words, ports, `payload`.
fn frame(
    to: [u8; 6],
    tags: &[u8],
    ihl: u8,
    fragment: u16,
    protocol: u8,
    port: u16,
    payload: &[u8],
) -> Vec<u8> {
    let header_len = usize::from(ihl) * 4;
    let total_len = (header_len + 8 + payload.len()) as u16;
    let mut bytes = [&to[..], &THEIRS[..], tags].concat();
    bytes.extend([0x40 | ihl, 0]);
    bytes.extend(total_len.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0, 192, 0, 2, 2, 255, 255, 255, 255]);
    bytes.resize(bytes.len() + header_len - 20, 1);
    bytes.extend(68_u16.to_be_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

fn request(to: [u8; 6], payload: &[u8]) -> Vec<u8> {
    frame(to, &IPV4, 5, 0, 17, 67, payload)
}

#[test]
fn frames_arrive_with_their_destination() {
    let wire = Wire::new();
    let group = [0x01, 0, 0x5e, 0, 0, 1];
    for to in [[0xff; 6], OURS, group, STRANGER] {
        wire.theirs.send(&request(to, b"hello")).unwrap();
    }
    let seen = wire.arrivals(|frame| {
        (frame.bytes.to_vec(), frame.original_len, frame.destination, frame.checksum, frame.vlan)
    });
    let expected = |to, destination| {
        let bytes = request(to, b"hello");
        (bytes.clone(), bytes.len(), destination, Checksum::Unknown, None)
    };
    assert_eq!(
        seen,
        [
            expected([0xff; 6], Destination::Broadcast),
            expected(OURS, Destination::Host),
            expected(group, Destination::Multicast),
            expected(STRANGER, Destination::OtherHost),
        ]
    );
}

#[test]
fn the_outer_tag_comes_beside_the_frame() {
    let wire = Wire::new();
    let tagged = [0x81, 0x00, 0x60, 0x07, 0x08, 0x00];
    let service = [0x88, 0xa8, 0x00, 0x05, 0x08, 0x00];
    let twice = [0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0x00, 0x07, 0x08, 0x00];
    for tags in [&tagged[..], &service, &twice] {
        wire.theirs.send(&frame(OURS, tags, 5, 0, 17, 67, b"x")).unwrap();
    }
    let seen = wire.arrivals(|frame| (frame.vlan.unwrap(), frame.bytes[12..].to_vec()));
    let inner = |tags: &[u8]| frame(OURS, tags, 5, 0, 17, 67, b"x")[12..].to_vec();
    assert_eq!(
        seen,
        [
            (VlanTag { tpid: 0x8100, tci: 0x6007 }, inner(&IPV4)),
            (VlanTag { tpid: 0x88a8, tci: 5 }, inner(&IPV4)),
            (VlanTag { tpid: 0x88a8, tci: 5 }, inner(&twice[4..])),
        ]
    );
}

#[test]
fn a_socket_of_this_host_leaves_its_checksum_unfinished() {
    let wire = Wire::new();
    wire.there.run(|| UdpSocket::bind("192.0.2.2:68").unwrap().send_to(b"hello", "192.0.2.1:67").unwrap());
    assert_eq!(
        wire.arrivals(|frame| (frame.checksum, frame.destination)),
        [(Checksum::Unfinished, Destination::Host)]
    );
}

#[test]
fn only_what_may_be_dhcp_comes_up() {
    let wire = Wire::new();
    let tagged = [0x81, 0x00, 0x00, 0x07, 0x08, 0x00];
    let more_fragments = 0x2000;
    let wanted = [
        frame(OURS, &IPV4, 5, 0, 17, 67, b"plain"),
        frame(OURS, &IPV4, 15, 0, 17, 67, b"with IP options"),
        frame(OURS, &IPV4, 5, more_fragments, 17, 67, b"a first fragment"),
        frame(OURS, &IPV4, 5, 0x4000, 17, 67, b"not to be fragmented"),
    ];
    let mut refused = vec![
        frame(OURS, &IPV4, 5, 0, 17, 68, b"another port"),
        frame(OURS, &tagged, 5, 0, 17, 68, b"another port, tagged"),
        frame(OURS, &IPV4, 6, 0, 17, 68, b"another port behind IP options"),
        frame(OURS, &IPV4, 5, 0, 6, 67, b"TCP"),
        frame(OURS, &IPV4, 5, 1, 17, 67, b"a last fragment"),
        frame(OURS, &IPV4, 5, more_fragments | 1, 17, 67, b"a middle fragment"),
        frame(OURS, &[0x08, 0x06], 5, 0, 17, 67, b"ARP"),
        frame(OURS, &[0x86, 0xdd], 5, 0, 17, 67, b"IPv6"),
        frame(OURS, &[0x81, 0x00, 0x00, 0x07, 0x08, 0x06], 5, 0, 17, 67, b"tagged ARP"),
    ];
    refused.push(request(OURS, b"")[..36].to_vec());
    for frame in refused.iter().chain(&wanted) {
        wire.theirs.send(frame).unwrap();
    }
    assert_eq!(wire.arrivals(|frame| frame.bytes.to_vec()), wanted);
}

#[test]
fn our_own_frames_do_not_come_back() {
    let wire = Wire::new();
    wire.ours.send(&request(STRANGER, b"ours")).unwrap();
    wire.theirs.send(&request(OURS, b"theirs")).unwrap();
    assert_eq!(wire.arrivals(|frame| frame.bytes.to_vec()), [request(OURS, b"theirs")]);
}

#[test]
fn batches_keep_their_order() {
    let wire = Wire::new();
    let frames: Vec<_> = (0..200_u8).map(|number| request(OURS, &[number])).collect();
    let mut waiting = &frames[..];
    while !waiting.is_empty() {
        let sent = wire.theirs.send_batch(waiting).unwrap();
        assert!(sent == BATCH || sent == waiting.len());
        waiting = &waiting[sent..];
    }
    assert_eq!(wire.arrivals(|frame| frame.bytes.to_vec()), frames);
    assert_eq!(wire.ours.counters().unwrap(), Counters { received: 200, dropped: 0 });
}

#[test]
fn a_frame_too_long_says_so() {
    let wire = Wire::new();
    let long = request(OURS, &[7; 1400]);
    wire.theirs.send(&long).unwrap();
    let mut batch = Batch::for_mtu(576);
    let deadline = Instant::now() + Duration::from_secs(2);
    while wire.ours.receive(&mut batch).is_err() {
        assert!(Instant::now() < deadline);
    }
    let frame = batch.frames().next().unwrap();
    assert_eq!((frame.bytes.len(), frame.original_len), (576 + LINK_HEADERS, long.len()));
    assert_eq!(frame.bytes, &long[..576 + LINK_HEADERS]);
}

#[test]
fn drops_are_counted_over_readings() {
    let wire = Wire::new();
    wire.ours.socket.set_recv_buffer_size(1).unwrap();
    let mut last = Counters::default();
    for round in 1..=2 {
        for _ in 0..100 {
            wire.theirs.send(&request(OURS, &[0; 500])).unwrap();
        }
        let now = wire.ours.counters().unwrap();
        assert_eq!(now.received + now.dropped, 100 * round);
        assert!(now.dropped > last.dropped, "{now:?} after {last:?}");
        last = now;
    }
    assert_eq!(wire.ours.counters().unwrap(), last);
}

#[test]
fn an_interface_that_goes_down_is_told_once() {
    let wire = Wire::new();
    wire.here.run(|| ip("link set v0 down"));
    let mut batch = Batch::for_mtu(1500);
    assert_eq!(wire.ours.receive(&mut batch).unwrap_err().raw_os_error(), Some(libc::ENETDOWN));
    assert_eq!(wire.ours.receive(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    wire.here.run(|| ip("link set v0 up"));
    wire.there.run(|| await_running("v1"));
    wire.theirs.send(&request(OURS, b"again")).unwrap();
    assert_eq!(wire.arrivals(|frame| frame.bytes.to_vec()), [request(OURS, b"again")]);
}
