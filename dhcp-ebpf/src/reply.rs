//! The one reply writer of both paths: a template, patched with what differs from client to client. It writes
//! into a datagram of its own and never sees the frame. What to answer is decided before it is called.

use crate::{
    abi::{BODY_MAX, Ip, LeaseSecs, Mac, Template},
    checksum,
    wire::{
        DATAGRAM_MAX, DHCP_AT, Datagram, OPTIONS_MAX, Span,
        dhcp::{self, MESSAGE_MIN},
        fresh, ipv4, octet, octet_mut,
        options::code,
        udp::{PORT_CLIENT, PORT_SERVER},
    },
};
use core::{hint::black_box, mem::offset_of};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Whom a reply goes to, RFC 2131 §4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// IP destination.
    pub ip: Ip,
    /// UDP destination port.
    pub port: u16,
    /// Ethernet destination.
    pub mac: Mac,
}

impl Destination {
    /// 255.255.255.255 on the client's link.
    pub const BROADCAST: Self = Self { ip: Ip::BROADCAST, port: PORT_CLIENT, mac: Mac::BROADCAST };

    /// Where the answer to `request`, which came from `source`, gives or confirms `yiaddr`: to the relay; else to
    /// the address that the client has; else by broadcast where it asks for that; else to the address that it
    /// gets, at its hardware address, because it can't answer ARP yet.
    #[inline(always)]
    pub fn of(request: &dhcp::Header, source: Mac, yiaddr: Ip) -> Self {
        if !request.giaddr.is_zero() {
            Self { ip: request.giaddr, port: PORT_SERVER, mac: source }
        } else if !request.ciaddr.is_zero() {
            Self { ip: request.ciaddr, port: PORT_CLIENT, mac: source }
        } else if request.wants_broadcast() {
            Self::BROADCAST
        } else {
            Self { ip: yiaddr, port: PORT_CLIENT, mac: request.mac() }
        }
    }
}

/// The options of a request that its reply repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Echoed {
    /// Option 61, RFC 6842.
    pub client_id: Span,
    /// Option 82, RFC 3046: verbatim, and last.
    pub relay_info: Span,
}

impl Echoed {
    /// Octets that they take, codes and lengths included.
    #[inline(always)]
    pub const fn len(&self) -> usize {
        let client_id = if self.client_id.is_there() { 2 + self.client_id.len as usize } else { 0 };
        let relay_info = if self.relay_info.is_there() { 2 + self.relay_info.len as usize } else { 0 };
        client_id + relay_info
    }

    /// Whether the request has neither.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a reply says beside its template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patches {
    /// RFC 2131 table 3: copied in a DHCPACK, zero in any other reply.
    pub ciaddr: Ip,
    /// The address that the client has or gets.
    pub yiaddr: Ip,
    /// Our address: IP source and option 54.
    pub server_id: Ip,
    /// Option 51, where the template has it. The kernel takes [`Template::lease`].
    pub lease: LeaseSecs,
    /// RFC 2131 §4.3.2: a relay must broadcast a DHCPNAK, so this flag is set in it.
    pub force_broadcast_flag: bool,
    /// Where it goes.
    pub to: Destination,
}

/// Octets of the IP datagram that a reply with this template is.
#[inline(always)]
pub fn datagram_len(template: &Template, echoed: &Echoed) -> usize {
    let message = usize::from(template.body_len) + echoed.len() + 1;
    DHCP_AT + if message < MESSAGE_MIN { MESSAGE_MIN } else { message }
}

/// Writes the reply to `request` into `reply` and says how long it is. None where it does not fit a datagram.
#[inline(always)]
pub fn write(
    reply: &mut Datagram,
    request: &Datagram,
    template: &Template,
    patches: &Patches,
    echoed: &Echoed,
) -> Option<u16> {
    let len = datagram_len(template, echoed);
    if len > DATAGRAM_MAX || usize::from(template.body_len) > BODY_MAX {
        return None;
    }
    copy_body(reply, template);
    write_header(&mut reply.dhcp, &request.dhcp, patches);

    if template.server_id_at != 0 {
        put(&mut reply.options, option_offset(template.server_id_at)?, patches.server_id.0)?;
    }
    if template.lease_at != 0 {
        put(&mut reply.options, option_offset(template.lease_at)?, patches.lease.0.to_be_bytes())?;
    }
    let mut at = option_offset(template.body_len)?;
    at = echo(&mut reply.options, at, &request.options, code::CLIENT_ID, &echoed.client_id)?;
    at = echo(&mut reply.options, at, &request.options, code::RELAY_INFO, &echoed.relay_info)?;
    *octet_mut(&mut reply.options, at)? = code::END;

    write_ip_udp(reply, len as u16, patches);
    Some(len as u16)
}

/// An offset into the body as one into the options.
#[inline(always)]
fn option_offset(body_offset: u16) -> Option<usize> {
    usize::from(body_offset).checked_sub(size_of::<dhcp::Header>())
}

/// Octets before the body in a template and before the message in a datagram, in words of eight: the four that
/// are before both are copied with it, and overwritten with the UDP header.
const BODY_WORD: usize = offset_of!(Template, body) / 8;
const DHCP_WORD: usize = DHCP_AT / 8;
const _: () = assert!(offset_of!(Template, body) % 8 == 4 && DHCP_AT % 8 == 4);

/// Words that [`copy_body`] copies at once.
const BLOCK: usize = 4;

/// Copies the template's body, and the zeroes behind it that pad a short message, in whole blocks.
#[inline(always)]
fn copy_body(reply: &mut Datagram, template: &Template) {
    let from: &[u64; size_of::<Template>() / 8] = zerocopy::transmute_ref!(template);
    let to: &mut [u64; DATAGRAM_MAX / 8] = zerocopy::transmute_mut!(reply);
    let words = (usize::from(fresh(&template.body_len)).max(MESSAGE_MIN) + 4).div_ceil(8);
    for block in 0..BODY_MAX / 8 / BLOCK + 1 {
        // Without the box LLVM makes one call to memmove of the loop, and on this target that copies octet by
        // octet.
        let at = black_box(block * BLOCK);
        if at >= words {
            break;
        }
        for word in 0..BLOCK {
            let to = to.get_mut(DHCP_WORD + at + word);
            if let (Some(to), Some(from)) = (to, from.get(BODY_WORD + at + word)) {
                *to = *from;
            }
        }
    }
}

/// RFC 2131 table 3.
#[inline(always)]
fn write_header(reply: &mut dhcp::Header, request: &dhcp::Header, patches: &Patches) {
    reply.xid = request.xid;
    reply.flags = request.flags;
    if patches.force_broadcast_flag {
        reply.flags = (request.flags.get() | dhcp::FLAG_BROADCAST).into();
    }
    reply.ciaddr = patches.ciaddr;
    reply.yiaddr = patches.yiaddr;
    reply.giaddr = request.giaddr;
    reply.chaddr = request.chaddr;
}

/// Puts four octets.
#[inline(always)]
fn put(options: &mut [u8; OPTIONS_MAX], at: usize, octets: [u8; 4]) -> Option<()> {
    let [a, b, c, d] = octets;
    *octet_mut(options, at)? = a;
    *octet_mut(options, at + 1)? = b;
    *octet_mut(options, at + 2)? = c;
    *octet_mut(options, at + 3)? = d;
    Some(())
}

/// Repeats an option of the request at `at`, where it has it; returns where the next option goes.
#[inline(always)]
fn echo(
    options: &mut [u8; OPTIONS_MAX],
    at: usize,
    request: &[u8; OPTIONS_MAX],
    code: u8,
    value: &Span,
) -> Option<usize> {
    if !value.is_there() {
        return Some(at);
    }
    *octet_mut(options, at)? = code;
    *octet_mut(options, at + 1)? = value.len as u8;
    let Span { at: from, len } = fresh(value);
    for index in 0..255 {
        if index >= usize::from(len) {
            break;
        }
        *octet_mut(options, at + 2 + index)? = octet(request, usize::from(from) + index)?;
    }
    Some(at + 2 + usize::from(value.len))
}

/// Both headers in front of the message, and both checksums.
#[inline(always)]
fn write_ip_udp(reply: &mut Datagram, len: u16, patches: &Patches) {
    let udp_len = len - size_of::<ipv4::Header>() as u16;
    reply.ip = ipv4::Header {
        version_ihl: ipv4::VERSION_IHL,
        tos: 0,
        total_len: len.into(),
        // RFC 6864 §4.1: a datagram that is never fragmented needs no identification.
        id: 0.into(),
        fragment: ipv4::DONT_FRAGMENT.into(),
        ttl: 64,
        protocol: ipv4::PROTOCOL_UDP,
        checksum: [0; 2],
        source: patches.server_id,
        destination: patches.to.ip,
    };
    reply.ip.checksum = (!checksum::fold(checksum::ip_header(&reply.ip))).to_ne_bytes();
    reply.udp.source = PORT_SERVER.into();
    reply.udp.destination = patches.to.port.into();
    reply.udp.len = udp_len.into();
    reply.udp.checksum = [0; 2];
    let sum = !checksum::fold(checksum::udp(reply));
    // RFC 768: a checksum that comes out as zero is sent as all ones; zero says that there is none.
    reply.udp.checksum = if sum == 0 { [0xff; 2] } else { sum.to_ne_bytes() };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::OPTIONS_AT;
    use zerocopy::IntoBytes;

    const SOURCE: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const CHADDR: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const YIADDR: Ip = Ip([10, 0, 0, 9]);

    fn request() -> Datagram {
        let mut request = Datagram::zeroed();
        request.dhcp.chaddr[..6].copy_from_slice(&CHADDR.0);
        request.dhcp.secs = 9.into();
        request.dhcp.hops = 3;
        request
    }

    /// RFC 2131 §4.1.
    #[test]
    fn replies_go_where_the_rfc_sends_them() {
        let mut message = request().dhcp;
        let to = Destination::of(&message, SOURCE, YIADDR);
        assert_eq!(to, Destination { ip: YIADDR, port: 68, mac: CHADDR }, "no address yet");
        message.flags = dhcp::FLAG_BROADCAST.into();
        assert_eq!(Destination::of(&message, SOURCE, YIADDR), Destination::BROADCAST);
        message.ciaddr = Ip([10, 0, 0, 8]);
        let to = Destination::of(&message, SOURCE, YIADDR);
        assert_eq!(to, Destination { ip: message.ciaddr, port: 68, mac: SOURCE }, "ciaddr before the flag");
        message.giaddr = Ip([10, 1, 0, 1]);
        let to = Destination::of(&message, SOURCE, YIADDR);
        assert_eq!(to, Destination { ip: message.giaddr, port: 67, mac: SOURCE }, "the relay before all");
    }

    fn template(options: &[u8]) -> Template {
        let mut template = Template {
            epoch: 0,
            lease: LeaseSecs(600),
            profile: 0,
            body_len: (240 + options.len()) as u16,
            selectors_len: 0,
            server_id_at: 0,
            lease_at: 0,
            selectors: [0; _],
            body: [0; _],
            reserved: [0; _],
        };
        template.body[..3].copy_from_slice(&[2, 1, 6]);
        template.body[236..240].copy_from_slice(&dhcp::COOKIE);
        template.body[240..240 + options.len()].copy_from_slice(options);
        template
    }

    #[test]
    fn echoes_come_last_and_padding_is_zero() {
        let mut request = request();
        request.options[..9].copy_from_slice(&[61, 2, 1, 7, 82, 3, 1, 1, 5]);
        let echoed = Echoed { client_id: Span { at: 2, len: 2 }, relay_info: Span { at: 6, len: 3 } };
        let mut template = template(&[53, 1, 5, 54, 4, 0, 0, 0, 0, 51, 4, 0, 0, 0, 0]);
        (template.server_id_at, template.lease_at) = (245, 251);
        let patches = Patches {
            yiaddr: YIADDR,
            server_id: Ip([10, 0, 0, 1]),
            lease: LeaseSecs(600),
            to: Destination::BROADCAST,
            ..Patches::default()
        };
        // What was in the buffer before must not show.
        let mut reply = Datagram::copy_of(&[0xee; DATAGRAM_MAX]).unwrap();
        let len = usize::from(write(&mut reply, &request, &template, &patches, &echoed).unwrap());
        assert_eq!(len, DHCP_AT + MESSAGE_MIN);
        let options = &reply.as_bytes()[OPTIONS_AT..len];
        let expected = [53, 1, 5, 54, 4, 10, 0, 0, 1, 51, 4, 0, 0, 2, 88, 61, 2, 1, 7, 82, 3, 1, 1, 5, 255];
        assert_eq!(options[..expected.len()], expected);
        assert!(options[expected.len()..].iter().all(|octet| *octet == 0), "{options:?}");
        assert_eq!((reply.dhcp.secs.get(), reply.dhcp.hops, reply.dhcp.yiaddr), (0, 0, YIADDR));
        assert_eq!(checksum::fold(checksum::udp(&reply)), 0xffff);
        assert_eq!(checksum::fold(checksum::ip_header(&reply.ip)), 0xffff);
    }

    #[test]
    fn a_reply_as_long_as_can_be_is_whole_and_a_longer_one_is_none() {
        let mut request = request();
        request.options.fill(1);
        let echoed = Echoed { client_id: Span { at: 0, len: 255 }, relay_info: Span::default() };
        let options = [43; BODY_MAX - 240];
        let mut reply = Datagram::zeroed();
        let write = |reply: &mut _, template: &_, echoed: &_| {
            write(reply, &request, template, &Patches::default(), echoed)
        };
        let len = write(&mut reply, &template(&options), &echoed).unwrap();
        assert_eq!(usize::from(len), DHCP_AT + BODY_MAX + 257 + 1);
        assert_eq!(reply.options[..options.len()], options);
        assert_eq!(reply.options[BODY_MAX - 240 + 257], code::END);
        let both = Echoed { relay_info: Span { at: 0, len: 255 }, ..echoed };
        assert_eq!(write(&mut reply, &template(&options), &both), None);
    }
}
