//! A DHCP client of raw frames, its state and its messages as RFC 2131 §4.4 and table 5 have them. Owns one
//! client's identity, lease and transaction; sends nothing by itself but through a [`Port`].

use std::net::Ipv4Addr;

use crate::{
    encode::{BROADCAST_MAC, Frame, Mac, Message, Reply, kind, option},
    port::Port,
};

/// What a client holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The server identifier.
    pub server: Ipv4Addr,
    /// Where the server's frames came from.
    pub server_mac: Mac,
    /// Option 51, in seconds.
    pub seconds: u32,
}

/// One simulated client. Tests change its fields between messages.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its hardware address.
    pub mac: Mac,
    /// Goes into `flags` of every message.
    pub flags: u16,
    /// Goes into `secs` of every message.
    pub secs: u16,
    /// Options of every message, behind those of the protocol.
    pub options: Vec<(u8, Vec<u8>)>,
    /// The transaction: fresh with each message but a REQUEST in SELECTING (table 5: "from server DHCPOFFER").
    pub xid: u32,
    /// What it holds.
    pub lease: Option<Lease>,
}

impl Client {
    /// A client with a hardware address of its own, and transactions that no other number's client shares.
    #[must_use]
    pub fn new(number: u32) -> Self {
        let [a, b, c, d] = number.to_be_bytes();
        Self {
            mac: [0x02, 0xc1, a, b, c, d],
            flags: 0,
            secs: 0,
            options: vec![(option::PARAMETER_REQUEST_LIST, vec![option::SUBNET_MASK, option::ROUTER])],
            xid: number << 12,
            lease: None,
        }
    }

    /// The client with one more option in every message.
    #[must_use]
    pub fn with(mut self, code: u8, value: &[u8]) -> Self {
        self.options.push((code, value.to_vec()));
        self
    }

    /// The client without any option of that code.
    #[must_use]
    pub fn without(mut self, code: u8) -> Self {
        self.options.retain(|(other, _)| *other != code);
        self
    }

    /// Its lease.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn held(&self) -> Lease {
        self.lease.expect("a client with a lease")
    }

    /// INIT: DHCPDISCOVER.
    pub fn discover(&mut self) -> Message {
        self.message(kind::DISCOVER, Ipv4Addr::UNSPECIFIED, &[])
    }

    /// SELECTING: the REQUEST that takes an offer.
    pub fn select(&mut self, offer: &Message) -> Message {
        let server = offer.address_option(option::SERVER_IDENTIFIER).expect("an offer has option 54");
        let asked = [(option::REQUESTED_IP_ADDRESS, offer.yiaddr), (option::SERVER_IDENTIFIER, server)];
        let message = self.message(kind::REQUEST, Ipv4Addr::UNSPECIFIED, &asked);
        self.xid = offer.xid;
        Message { xid: offer.xid, ..message }
    }

    /// INIT-REBOOT: a REQUEST for an address that was once its own.
    pub fn reboot(&mut self, address: Ipv4Addr) -> Message {
        self.message(kind::REQUEST, Ipv4Addr::UNSPECIFIED, &[(option::REQUESTED_IP_ADDRESS, address)])
    }

    /// RENEWING and REBINDING: a REQUEST for the address that it holds. Only the datagram's destination tells
    /// the two apart.
    pub fn extend(&mut self) -> Message {
        let address = self.held().address;
        self.message(kind::REQUEST, address, &[])
    }

    /// DHCPRELEASE.
    pub fn release(&mut self) -> Message {
        let Lease { address, server, .. } = self.held();
        self.message(kind::RELEASE, address, &[(option::SERVER_IDENTIFIER, server)])
    }

    /// DHCPDECLINE.
    pub fn decline(&mut self) -> Message {
        let Lease { address, server, .. } = self.held();
        let asked = [(option::REQUESTED_IP_ADDRESS, address), (option::SERVER_IDENTIFIER, server)];
        self.message(kind::DECLINE, Ipv4Addr::UNSPECIFIED, &asked)
    }

    /// DHCPINFORM from an address that was configured by other means.
    pub fn inform(&mut self, address: Ipv4Addr) -> Message {
        self.message(kind::INFORM, address, &[])
    }

    /// The frame that carries a message to everyone.
    #[must_use]
    pub fn broadcast(&self, message: &Message) -> Frame {
        Frame { src: message.ciaddr, dst_mac: BROADCAST_MAC, ..Frame::broadcast(self.mac, message) }
    }

    /// The frame that carries a message from the client's address to its server alone.
    #[must_use]
    pub fn unicast(&self, message: &Message) -> Frame {
        let Lease { address, server, server_mac, .. } = self.held();
        Frame::unicast(self.mac, address, server_mac, server, message)
    }

    /// The frame of a renewal: RENEWING, unicast.
    pub fn renewing(&mut self) -> Frame {
        let message = self.extend();
        self.unicast(&message)
    }

    /// The frame of a renewal: REBINDING, broadcast.
    pub fn rebinding(&mut self) -> Frame {
        let message = self.extend();
        self.broadcast(&message)
    }

    /// Sends a frame of the current transaction until it is answered.
    pub fn ask(&self, port: &Port, frame: &Frame) -> Option<Reply> {
        port.exchange(&frame.encode(), self.xid)
    }

    /// DISCOVER, OFFER, REQUEST, ACK. Returns the OFFER and the ACK.
    ///
    /// # Panics
    /// If the server does not give a lease.
    pub fn acquire(&mut self, port: &Port) -> (Reply, Reply) {
        let discover = self.discover();
        let offer = self.ask(port, &self.broadcast(&discover)).expect("an answer to DISCOVER");
        assert_eq!(offer.message.kind(), kind::OFFER);
        let request = self.select(&offer.message);
        let ack = self.ask(port, &self.broadcast(&request)).expect("an answer to REQUEST");
        self.accept(&ack);
        assert_eq!(ack.message.yiaddr, offer.message.yiaddr, "the ACK gives what was offered");
        (offer, ack)
    }

    /// Takes the lease that an ACK gives.
    ///
    /// # Panics
    /// If the reply is no ACK to this client, or lacks what an ACK must have.
    pub fn accept(&mut self, ack: &Reply) {
        let message = &ack.message;
        assert_eq!(message.kind(), kind::ACK, "{message:?}");
        assert_eq!((message.xid, &message.chaddr[..6]), (self.xid, &self.mac[..]));
        assert!(!message.yiaddr.is_unspecified());
        self.lease = Some(Lease {
            address: message.yiaddr,
            server: message.address_option(option::SERVER_IDENTIFIER).expect("an ACK has option 54"),
            server_mac: ack.src_mac,
            seconds: message.number_option(option::LEASE_TIME).expect("an ACK has option 51"),
        });
    }

    fn message(&mut self, kind: u8, ciaddr: Ipv4Addr, asked: &[(u8, Ipv4Addr)]) -> Message {
        self.xid = self.xid.wrapping_add(1);
        let mut message = Message::request(self.xid, self.mac).with(option::MESSAGE_TYPE, &[kind]);
        for (code, address) in asked {
            message = message.with(*code, &address.octets());
        }
        message.options.extend(self.options.iter().cloned());
        Message { secs: self.secs, flags: self.flags, ciaddr, ..message }
    }
}
