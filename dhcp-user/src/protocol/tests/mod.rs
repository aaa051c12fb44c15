//! Requests as bytes, written down from the RFCs alone, and what both rooms make of them.

mod agree;
mod hygiene;
mod replies;
mod requests;

use super::{Refusal, Replies, Request};
use crate::{
    config::Settings,
    sys::packet::{Checksum, Destination, Frame},
};
use dhcp_ebpf::abi::{Ip, LeaseSecs, Link, Mac};
use std::net::Ipv4Addr;

pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 2);
pub(super) const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
pub(super) const ALL: Ipv4Addr = Ipv4Addr::BROADCAST;
pub(super) const SERVER_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub(super) const CLIENT_MAC: Mac = Mac([2, 0, 0, 0, 1, 2]);

pub(super) fn link() -> Link {
    Link {
        network: 0,
        mtu: 1500,
        addresses: [SERVER.into(), Ip([10, 9, 0, 7]), Ip::ZERO, Ip::ZERO],
        broadcasts: [Ip([10, 9, 255, 255]), Ip([10, 9, 255, 255]), Ip::ZERO, Ip::ZERO],
        mac: SERVER_MAC,
        ..Link::default()
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        prefix: "10.9.0.0/16".parse().unwrap(),
        server: SERVER,
        own: vec![SERVER],
        pools: Vec::new(),
        lease: LeaseSecs(0x0001_0203),
        routers: vec![Ipv4Addr::new(10, 9, 0, 254)],
        dns: vec![Ipv4Addr::new(10, 9, 0, 53), Ipv4Addr::new(10, 9, 0, 54)],
        domain: Some("lab.example".to_owned()),
        reservations: Vec::new(),
        horizon: 2,
    }
}

pub(super) fn replies() -> Replies {
    Replies::new(&settings(), 7)
}

/// A request, part by part.
#[derive(Clone)]
pub(super) struct Packet {
    pub(super) destination: Mac,
    pub(super) source: Mac,
    pub(super) ethertype: Vec<u8>,
    pub(super) version: u8,
    pub(super) fragment: u16,
    pub(super) ip_options: Vec<u8>,
    pub(super) src: Ipv4Addr,
    pub(super) dst: Ipv4Addr,
    pub(super) port: u16,
    pub(super) flags: u16,
    pub(super) ciaddr: Ipv4Addr,
    pub(super) giaddr: Ipv4Addr,
    pub(super) chaddr: Mac,
    pub(super) sname: Vec<u8>,
    pub(super) file: Vec<u8>,
    /// Without END.
    pub(super) options: Vec<u8>,
    pub(super) end: bool,
}

impl Packet {
    /// From a client without an address.
    pub(super) fn of(kind: u8) -> Self {
        Self {
            destination: Mac::BROADCAST,
            source: CLIENT_MAC,
            ethertype: vec![8, 0],
            version: 4,
            fragment: 0,
            ip_options: Vec::new(),
            src: ANY,
            dst: ALL,
            port: 67,
            flags: 0,
            ciaddr: ANY,
            giaddr: ANY,
            chaddr: CLIENT_MAC,
            sname: Vec::new(),
            file: Vec::new(),
            options: vec![53, 1, kind],
            end: true,
        }
    }

    pub(super) fn discover() -> Self {
        Self::of(1)
    }

    pub(super) fn rebinding() -> Self {
        Self { src: CLIENT, ciaddr: CLIENT, ..Self::of(3) }
    }

    pub(super) fn renewing() -> Self {
        Self { destination: SERVER_MAC, dst: SERVER, ..Self::rebinding() }
    }

    pub(super) fn init_reboot() -> Self {
        Self::of(3).with(50, &CLIENT.octets())
    }

    pub(super) fn selecting(server: Ipv4Addr) -> Self {
        Self::init_reboot().with(54, &server.octets())
    }

    pub(super) fn inform() -> Self {
        Self { src: CLIENT, ciaddr: CLIENT, ..Self::of(8) }
    }

    pub(super) fn with(mut self, code: u8, value: &[u8]) -> Self {
        self.options.extend([code, value.len() as u8]);
        self.options.extend(value);
        self
    }

    pub(super) fn udp_at(&self) -> usize {
        12 + self.ethertype.len() + 20 + self.ip_options.len()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bootp = vec![1, 1, 6, 0, 0xaa, 0xbb, 0xcc, 0xdd, 0, 9];
        bootp.extend(self.flags.to_be_bytes());
        for address in [self.ciaddr, ANY, ANY, self.giaddr] {
            bootp.extend(address.octets());
        }
        bootp.extend(self.chaddr.0);
        bootp.resize(44, 0);
        bootp.extend(&self.sname);
        bootp.resize(108, 0);
        bootp.extend(&self.file);
        bootp.resize(236, 0);
        bootp.extend([99, 130, 83, 99]);
        bootp.extend(&self.options);
        if self.end {
            bootp.push(255);
        }

        let udp_len = (8 + bootp.len()) as u16;
        let mut udp = Vec::new();
        for word in [68, self.port, udp_len, 0] {
            udp.extend(word.to_be_bytes());
        }
        udp.extend(bootp);
        let mut pseudo = [self.src.octets(), self.dst.octets()].concat();
        pseudo.extend([0, 17]);
        pseudo.extend(udp_len.to_be_bytes());
        let sum = internet_checksum(&[pseudo, udp.clone()].concat());
        udp[6..8].copy_from_slice(&sum.to_be_bytes());

        let words = 5 + (self.ip_options.len() / 4) as u8;
        let mut ip = vec![self.version << 4 | words, 0];
        ip.extend((u16::from(words) * 4 + udp_len).to_be_bytes());
        ip.extend([0x12, 0x34]);
        ip.extend(self.fragment.to_be_bytes());
        ip.extend([64, 17, 0, 0]);
        ip.extend(self.src.octets());
        ip.extend(self.dst.octets());
        ip.extend(&self.ip_options);
        let sum = internet_checksum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());

        [&self.destination.0[..], &self.source.0, &self.ethertype, &ip, &udp].concat()
    }

    pub(super) fn parse(&self) -> Result<Request, Refusal> {
        parse(&self.bytes())
    }

    pub(super) fn request(&self) -> Request {
        self.parse().unwrap()
    }
}

/// RFC 1071, word by word.
pub(super) fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | word.get(1).copied().map_or(0, u32::from)).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

pub(super) fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame {
        bytes,
        original_len: bytes.len(),
        destination: if bytes.starts_with(&Mac::BROADCAST.0) {
            Destination::Broadcast
        } else {
            Destination::Host
        },
        checksum: Checksum::Unknown,
        vlan: None,
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Request, Refusal> {
    Request::parse(&frame(bytes), &link())
}
