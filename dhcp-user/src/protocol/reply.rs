//! What this server says: templates from the settings, and frames from templates through the writer of both
//! paths. Owns which options a reply has and in which order; whom to answer, and what, is decided elsewhere.

use super::{MessageType, Request};
use crate::config::Settings;
use dhcp_ebpf::{
    abi::{BODY_MAX, Ip, LeaseSecs, Template},
    reply::{self, Destination, Patches},
    wire::{
        DHCP_AT, Datagram, dhcp,
        ethernet::{self, HEADER_MAX, TYPE_IPV4, UNTAGGED_LEN},
        options::code::{LEASE_TIME, MESSAGE_TYPE, SERVER_ID},
        udp::PORT_CLIENT,
    },
};
use std::net::Ipv4Addr;
use zerocopy::{FromZeros, IntoBytes};

const SUBNET_MASK: u8 = 1;
const ROUTER: u8 = 3;
const DNS: u8 = 6;
const DOMAIN: u8 = 15;
const BROADCAST_ADDRESS: u8 = 28;
const MESSAGE: u8 = 56;
const T1: u8 = 58;
const T2: u8 = 59;

/// What a client gets that does not say what it wants.
const UNASKED: &[u8] = &[SUBNET_MASK, ROUTER, DNS, DOMAIN, T1, T2];

/// The profile of every template: there is one set of options.
pub const PROFILE: u16 = 0;

/// Values of option 53 in replies, RFC 2132 §9.6.
const DHCPOFFER: u8 = 2;
const DHCPACK: u8 = 5;
const DHCPNAK: u8 = 6;

/// A template for a reply.
#[derive(Debug)]
pub struct Made {
    /// The reply, but for what differs from client to client.
    pub template: Box<Template>,
    /// Whether it answers every request with the same selectors: the kernel reads them as this request's, and
    /// nothing was left out for the sake of this client's option 57.
    pub publishable: bool,
}

/// What a reply does, with what differs from client to client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Offers an address.
    Offer {
        /// The address.
        yiaddr: Ipv4Addr,
    },
    /// Gives or extends the lease of an address.
    Ack {
        /// The address.
        yiaddr: Ipv4Addr,
    },
    /// Answers a DHCPINFORM.
    Inform,
    /// Refuses a DHCPREQUEST.
    Nak,
}

/// An option of a reply.
type Valued<'a> = (u8, &'a [u8]);

/// The replies of one configuration.
#[derive(Debug)]
pub struct Replies {
    epoch: u32,
    lease: LeaseSecs,
    /// The configured options.
    values: Vec<(u8, Vec<u8>)>,
}

impl Replies {
    /// The replies that `settings` ask for; their templates carry `epoch`.
    pub fn new(settings: &Settings, epoch: u32) -> Self {
        let lease = settings.lease;
        let mut values = vec![
            (SUBNET_MASK, settings.prefix.netmask().octets().to_vec()),
            (ROUTER, addresses(&settings.routers)),
            (DNS, addresses(&settings.dns)),
            (DOMAIN, settings.domain.clone().unwrap_or_default().into_bytes()),
        ];
        // RFC 3021 §2.2: such a link has no directed broadcast.
        if settings.prefix.prefix_len() < 31 {
            values.push((BROADCAST_ADDRESS, settings.prefix.broadcast().octets().to_vec()));
        }
        // RFC 2131 §4.4.5's defaults. A lease that never ends is never extended.
        if lease != LeaseSecs::INFINITE {
            values.push((T1, (lease.0 / 2).to_be_bytes().to_vec()));
            values.push((T2, ((u64::from(lease.0) * 7 / 8) as u32).to_be_bytes().to_vec()));
        }
        values.retain(|(_, value)| !value.is_empty());
        Self { epoch, lease, values }
    }

    /// A DHCPOFFER.
    pub fn offer(&self, request: &Request) -> Made {
        self.make(request, DHCPOFFER, Some(self.lease), &self.asked(request))
    }

    /// A DHCPACK to a DHCPREQUEST. It depends on nothing but the settings and the selectors.
    pub fn ack(&self, request: &Request) -> Made {
        self.make(request, DHCPACK, Some(self.lease), &self.asked(request))
    }

    /// A DHCPACK to a DHCPINFORM. RFC 2131 §4.3.5: without a lease's times.
    pub fn inform(&self, request: &Request) -> Made {
        let mut asked = self.asked(request);
        asked.retain(|(code, _)| *code != T1 && *code != T2);
        Made { publishable: false, ..self.make(request, DHCPACK, None, &asked) }
    }

    /// A DHCPNAK; `message` tells people why.
    pub fn nak(&self, request: &Request, message: &str) -> Made {
        let message = [(MESSAGE, message.as_bytes())];
        Made { publishable: false, ..self.make(request, DHCPNAK, None, &message) }
    }

    /// The configured options that the client asks for, each once and in its order (RFC 2132 §9.8: its order of
    /// preference), but the subnet mask before the router (RFC 2132 §3.3).
    fn asked(&self, request: &Request) -> Vec<Valued<'_>> {
        let codes = request.parameters.as_deref().unwrap_or(UNASKED);
        let mut asked: Vec<Valued<'_>> = Vec::new();
        for code in codes {
            let value = self.values.iter().find(|(configured, _)| configured == code);
            if let Some((code, value)) = value
                && asked.iter().all(|(before, _)| before != code)
            {
                asked.push((*code, value));
            }
        }
        let place = |wanted: u8| asked.iter().position(|(code, _)| *code == wanted);
        if let (Some(mask), Some(router)) = (place(SUBNET_MASK), place(ROUTER))
            && router < mask
            && let Some(section) = asked.get_mut(router..=mask)
        {
            section.rotate_right(1);
        }
        asked
    }

    /// A template with as many of `options` as this client takes.
    fn make(&self, request: &Request, kind: u8, lease: Option<LeaseSecs>, options: &[Valued<'_>]) -> Made {
        let (template, complete) = self.template(request, kind, lease, options, BODY_MAX);
        if complete && reply::datagram_len(&template, &request.echoed) <= request.reply_max() {
            return Made { template, publishable: request.selectors.is_some() };
        }
        let around = DHCP_AT + request.echoed.len() + 1;
        let body_max = request.reply_max().saturating_sub(around).min(BODY_MAX);
        let (template, _) = self.template(request, kind, lease, options, body_max);
        Made { template, publishable: false }
    }

    /// A template whose body has at most `body_max` octets, and whether it has all of `options`. Those that make
    /// the message are in it in any case.
    fn template(
        &self,
        request: &Request,
        kind: u8,
        lease: Option<LeaseSecs>,
        options: &[Valued<'_>],
        body_max: usize,
    ) -> (Box<Template>, bool) {
        let mut template = Box::new(Template::new_zeroed());
        template.epoch = self.epoch;
        template.profile = PROFILE.into();
        template.lease = self.lease;
        if let Some(selectors) = &request.selectors {
            put_selectors(&mut template, selectors.as_bytes());
        }
        put_header(&mut template);
        put(&mut template, MESSAGE_TYPE, &[kind], BODY_MAX);
        template.server_id_at = template.body_len + 2;
        put(&mut template, SERVER_ID, &Ip::ZERO.0, BODY_MAX);
        if let Some(lease) = lease {
            template.lease_at = template.body_len + 2;
            put(&mut template, LEASE_TIME, &lease.0.to_be_bytes(), BODY_MAX);
        }
        let mut complete = true;
        for (code, value) in options {
            complete &= put(&mut template, *code, value, body_max);
        }
        (template, complete)
    }
}

/// RFC 2132 §3.5 and its like: addresses side by side.
fn addresses(list: &[Ipv4Addr]) -> Vec<u8> {
    list.iter().flat_map(Ipv4Addr::octets).collect()
}

fn put_selectors(template: &mut Template, selectors: &[u8]) {
    if let Some(to) = template.selectors.get_mut(..selectors.len()) {
        to.copy_from_slice(selectors);
        template.selectors_len = selectors.len() as u16;
    }
}

/// RFC 2131 table 3: what the fixed fields of every reply say.
fn put_header(template: &mut Template) {
    let header = dhcp::Header {
        op: dhcp::BOOTREPLY,
        htype: dhcp::HTYPE_ETHERNET,
        hlen: dhcp::HLEN_ETHERNET,
        cookie: dhcp::COOKIE,
        ..dhcp::Header::new_zeroed()
    };
    if let Some(to) = template.body.first_chunk_mut::<{ size_of::<dhcp::Header>() }>() {
        *to = zerocopy::transmute!(header);
        template.body_len = size_of::<dhcp::Header>() as u16;
    }
}

/// Appends an option, if the body then has no more than `body_max` octets.
fn put(template: &mut Template, code: u8, value: &[u8], body_max: usize) -> bool {
    let at = usize::from(template.body_len);
    let end = at + 2 + value.len();
    let (Ok(len), Some([c, l, to @ ..])) = (u8::try_from(value.len()), template.body.get_mut(at..end)) else {
        return false;
    };
    if end > body_max {
        return false;
    }
    (*c, *l) = (code, len);
    to.copy_from_slice(value);
    template.body_len = end as u16;
    true
}

/// The whole Ethernet frame that answers `request`. None where there is nobody to send it to, or where not even
/// the least reply fits the link.
pub fn frame(request: &Request, template: &Template, kind: Kind) -> Option<Vec<u8>> {
    let patches = patches(request, template, kind)?;
    let mut reply = Datagram::zeroed();
    let len = reply::write(&mut reply, &request.datagram, template, &patches, &request.echoed)?;
    let datagram = reply.as_bytes().get(..usize::from(len))?;
    if datagram.len() > request.reply_max() {
        return None;
    }
    let mut header = [0; HEADER_MAX];
    ethernet::address(&mut header, patches.to.mac, request.link.mac);
    let (addresses, _) = header.split_at(UNTAGGED_LEN - size_of::<u16>());
    Some([addresses, &TYPE_IPV4.to_be_bytes(), datagram].concat())
}

/// What RFC 2131 table 3 and §4.1 say of this reply alone.
fn patches(request: &Request, template: &Template, kind: Kind) -> Option<Patches> {
    let message = &request.datagram.dhcp;
    let (ciaddr, yiaddr, to) = match kind {
        Kind::Offer { yiaddr } => {
            (Ip::ZERO, yiaddr.into(), Destination::of(message, request.source, yiaddr.into()))
        }
        Kind::Ack { yiaddr } => {
            (message.ciaddr, yiaddr.into(), Destination::of(message, request.source, yiaddr.into()))
        }
        Kind::Inform => (message.ciaddr, Ip::ZERO, inform_destination(request)?),
        // RFC 2131 §4.1: the address that the client thinks is its own may be wrong.
        Kind::Nak => (Ip::ZERO, Ip::ZERO, Destination::BROADCAST),
    };
    Some(Patches {
        ciaddr,
        yiaddr,
        server_id: server_id(request).into(),
        lease: template.lease,
        force_broadcast_flag: false,
        to,
    })
}

/// RFC 2131 §4.3.5: by unicast to `ciaddr`. Clients exist that leave it 0 and send from their address.
fn inform_destination(request: &Request) -> Option<Destination> {
    let ip = [request.ciaddr(), request.ip_source()].into_iter().find(|ip| !ip.is_unspecified())?;
    let is_group = ip.is_broadcast() || ip.is_multicast() || request.link.broadcasts.contains(&ip.into());
    (!is_group).then(|| Destination { ip: ip.into(), port: PORT_CLIENT, mac: request.source })
}

/// Which of our addresses answers: the one that the client has chosen, else the one that it has sent to.
fn server_id(request: &Request) -> Ipv4Addr {
    let chosen =
        request.server_id.filter(|id| request.message == MessageType::Request && request.is_ours(*id));
    chosen.unwrap_or(request.local)
}
