//! A client's message, read: what the slow path knows of it, whatever it came in. Owns RFC 2131's names for what
//! a client can say; decides nothing about the answer.

use super::{
    Refusal,
    arrival::Arrival,
    options::{self, Values},
};
use crate::{identity::ClientId, sys::packet::Frame};
use dhcp_ebpf::{
    abi::{Link, Mac},
    decide,
    reply::Echoed,
    shape::Selectors,
    wire::{
        Datagram, Span,
        options::{
            Options,
            code::{CLIENT_ID, MAX_MESSAGE_SIZE, MESSAGE_TYPE, RELAY_INFO, REQUESTED_ADDRESS, SERVER_ID},
        },
    },
};
use std::net::Ipv4Addr;

/// What a client's message is, RFC 2132 §9.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// Who can give me an address?
    Discover,
    /// I take the offer, extend my lease, or check it: see [`Request::state`].
    Request,
    /// The address is in use.
    Decline,
    /// I give the address back.
    Release,
    /// I have an address: what else is there?
    Inform,
}

impl MessageType {
    const fn of(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::Discover),
            3 => Some(Self::Request),
            4 => Some(Self::Decline),
            7 => Some(Self::Release),
            8 => Some(Self::Inform),
            _ => None,
        }
    }
}

/// RFC 2131 §4.3.2's states of a client that sends a DHCPREQUEST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Takes the offer of the server that it names, which may be another one.
    Selecting {
        /// Option 54.
        server_id: Ipv4Addr,
    },
    /// Checks a lease that it remembers.
    InitReboot,
    /// Extends its lease by unicast.
    Renewing,
    /// Extends its lease by broadcast.
    Rebinding,
}

/// A client's message.
#[derive(Debug)]
pub struct Request {
    /// The message, in the layout that both paths read; its IP header has no options any more.
    pub datagram: Box<Datagram>,
    /// Where it came in.
    pub link: Link,
    /// The frame's source: the client, or a router on the way from it.
    pub source: Mac,
    /// It was sent to an address of ours, not to a broadcast one.
    pub by_unicast: bool,
    /// The address of ours that it was sent to; else our default one there.
    pub local: Ipv4Addr,
    /// Option 53.
    pub message: MessageType,
    /// Who the client is: option 61, else `chaddr`.
    pub client: ClientId,
    /// `chaddr`.
    pub mac: Mac,
    /// Option 50.
    pub requested: Option<Ipv4Addr>,
    /// Option 54.
    pub server_id: Option<Ipv4Addr>,
    /// Option 55: the codes that the client asks for, in its order.
    pub parameters: Option<Vec<u8>>,
    /// Option 57: the longest IP datagram that the client takes, in octets.
    pub max_message_size: Option<u16>,
    /// Option 12, its octets as they came; not empty.
    pub host_name: Option<Box<[u8]>>,
    /// The options that the reply repeats.
    pub echoed: Echoed,
    /// The selectors that the kernel gathers of this message; None where it would not take it.
    pub selectors: Option<Selectors>,
}

impl Request {
    /// Reads a frame that came in on `link`.
    pub fn parse(frame: &Frame<'_>, link: &Link) -> Result<Self, Refusal> {
        let Arrival { mut datagram, options_len, source, by_unicast, local } = Arrival::check(frame, link)?;
        let values = Values::read(&datagram, options_len)?;
        let address = |code| Ok(values.sized(code)?.map(Ipv4Addr::from_octets));

        let [message] = values.sized(MESSAGE_TYPE)?.ok_or(Refusal::Bootp)?;
        let message = MessageType::of(message).ok_or(Refusal::MessageType)?;
        let selectors = selectors(&datagram, options_len);
        let mac = datagram.dhcp.mac();

        // RFC 2132 §9.14: the client identifier has at least two octets. A shorter one is nobody's.
        let mut end = options_len;
        let client = values.get(CLIENT_ID).filter(|value| value.len() >= 2);
        let (client, client_id) = match client {
            Some(value) => (
                ClientId::from_option(value).ok_or(Refusal::OptionsMalformed)?,
                values.span(CLIENT_ID, &mut datagram, &mut end)?,
            ),
            None => (ClientId::from_chaddr(mac), Span::default()),
        };
        let relay_info = values.span(RELAY_INFO, &mut datagram, &mut end)?;

        Ok(Self {
            link: *link,
            source,
            by_unicast,
            local: local.into(),
            message,
            client,
            mac,
            requested: address(REQUESTED_ADDRESS)?,
            server_id: address(SERVER_ID)?,
            parameters: values.get(options::PARAMETERS).map(<[u8]>::to_vec),
            max_message_size: values.sized(MAX_MESSAGE_SIZE)?.map(u16::from_be_bytes),
            host_name: values.get(options::HOST_NAME).filter(|name| !name.is_empty()).map(Into::into),
            echoed: Echoed { client_id, relay_info },
            selectors,
            datagram,
        })
    }

    /// The state of the client that sent this DHCPREQUEST, as RFC 2131 table 4 tells them apart.
    pub fn state(&self) -> Result<State, Refusal> {
        let has_address = !self.ciaddr().is_unspecified();
        match (self.server_id, self.requested.is_some(), has_address) {
            (Some(server_id), true, false) => Ok(State::Selecting { server_id }),
            (None, true, false) => Ok(State::InitReboot),
            (None, false, true) if self.by_unicast => Ok(State::Renewing),
            (None, false, true) => Ok(State::Rebinding),
            _ => Err(Refusal::State),
        }
    }

    /// `ciaddr`; 0.0.0.0 where the client has no address.
    pub fn ciaddr(&self) -> Ipv4Addr {
        self.datagram.dhcp.ciaddr.into()
    }

    /// The IP source.
    pub fn ip_source(&self) -> Ipv4Addr {
        self.datagram.ip.source.into()
    }

    /// The address that a DHCPREQUEST is about: option 50, else `ciaddr`.
    pub fn address(&self) -> Ipv4Addr {
        self.requested.unwrap_or(self.ciaddr())
    }

    /// Whether this is one of our addresses where the message came in.
    pub fn is_ours(&self, address: Ipv4Addr) -> bool {
        !address.is_unspecified() && self.link.addresses.contains(&address.into())
    }

    /// The longest reply, in octets of its IP datagram.
    pub fn reply_max(&self) -> usize {
        decide::reply_max(self.max_message_size.unwrap_or(0), self.link.mtu)
    }
}

/// What the kernel's walk over the same datagram gathers.
fn selectors(datagram: &Datagram, options_len: usize) -> Option<Selectors> {
    let mut found = Options::default();
    let mut selectors = Selectors::new();
    found.walk(&datagram.options, options_len, &options::classes()).ok()?;
    selectors.gather(&datagram.options, &found).ok()?;
    Some(selectors)
}
