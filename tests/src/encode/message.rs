//! A DHCP message, field by field as RFC 2131 figure 1 draws it. Owns its encoding and its strict decoding; knows
//! nothing of the datagram around it.

use std::net::Ipv4Addr;

use super::{Mac, reply::Malformed};

/// `op` of a client's message.
pub const BOOTREQUEST: u8 = 1;
/// `op` of a server's message.
pub const BOOTREPLY: u8 = 2;
/// The one bit of `flags` (RFC 2131 figure 2).
pub const BROADCAST_FLAG: u16 = 0x8000;

/// Octets before the magic cookie.
const HEADER: usize = 236;
/// RFC 2131 §3 after RFC 951: relays and clients exist that drop shorter messages.
const MINIMUM: usize = 300;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// DHCP message types (RFC 2132 §9.6).
pub mod kind {
    #![expect(missing_docs, reason = "the RFC's own names")]
    pub const DISCOVER: u8 = 1;
    pub const OFFER: u8 = 2;
    pub const REQUEST: u8 = 3;
    pub const DECLINE: u8 = 4;
    pub const ACK: u8 = 5;
    pub const NAK: u8 = 6;
    pub const RELEASE: u8 = 7;
    pub const INFORM: u8 = 8;
}

/// Option codes (RFC 2132, RFC 3046 for 82, RFC 4702 for 81).
pub mod option {
    #![expect(missing_docs, reason = "the RFC's own names")]
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DOMAIN_NAME_SERVER: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN_NAME: u8 = 15;
    pub const REQUESTED_IP_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_IDENTIFIER: u8 = 54;
    pub const PARAMETER_REQUEST_LIST: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const MAXIMUM_MESSAGE_SIZE: u8 = 57;
    pub const RENEWAL_TIME: u8 = 58;
    pub const REBINDING_TIME: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_IDENTIFIER: u8 = 61;
    pub const CLIENT_FQDN: u8 = 81;
    pub const RELAY_AGENT_INFORMATION: u8 = 82;
    pub const END: u8 = 255;
}

/// A DHCP message. Numbers are the host's here and big-endian on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of RFC 2131 figure 1, by their names")]
pub struct Message {
    pub op: u8,
    pub htype: u8,
    pub hlen: u8,
    pub hops: u8,
    pub xid: u32,
    pub secs: u16,
    pub flags: u16,
    pub ciaddr: Ipv4Addr,
    pub yiaddr: Ipv4Addr,
    pub siaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    pub chaddr: [u8; 16],
    pub sname: [u8; 64],
    pub file: [u8; 128],
    pub cookie: [u8; 4],
    /// Code and value in the order of the wire; a [`option::PAD`] is one octet and its value is left out.
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Message {
    /// A BOOTREQUEST from an Ethernet host, everything else zero, no options.
    #[must_use]
    pub fn request(xid: u32, mac: Mac) -> Self {
        let mut chaddr = [0; 16];
        chaddr[..6].copy_from_slice(&mac);
        Self {
            op: BOOTREQUEST,
            htype: 1,
            hlen: 6,
            hops: 0,
            xid,
            secs: 0,
            flags: 0,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr,
            sname: [0; 64],
            file: [0; 128],
            cookie: COOKIE,
            options: Vec::new(),
        }
    }

    /// A BOOTREPLY to `request` with RFC 2131 table 3's rules that hold for OFFER, ACK and NAK alike: `hops` and
    /// `secs` zero; `xid`, `flags`, `giaddr` and `chaddr` from the request; everything else zero, no options.
    #[must_use]
    pub fn reply_to(request: &Self) -> Self {
        Self {
            op: BOOTREPLY,
            htype: request.htype,
            hlen: request.hlen,
            flags: request.flags,
            giaddr: request.giaddr,
            chaddr: request.chaddr,
            ..Self::request(request.xid, [0; 6])
        }
    }

    /// The message with one more option behind the others.
    #[must_use]
    pub fn with(mut self, code: u8, value: &[u8]) -> Self {
        self.options.push((code, value.to_vec()));
        self
    }

    /// The message with one more option before the others.
    #[must_use]
    pub fn with_first(mut self, code: u8, value: &[u8]) -> Self {
        self.options.insert(0, (code, value.to_vec()));
        self
    }

    /// The message without any option of that code.
    #[must_use]
    pub fn without(mut self, code: u8) -> Self {
        self.options.retain(|(other, _)| *other != code);
        self
    }

    /// The first value of an option.
    #[must_use]
    pub fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(other, _)| *other == code).map(|(_, value)| value.as_slice())
    }

    /// An option that holds one address.
    #[must_use]
    pub fn address_option(&self, code: u8) -> Option<Ipv4Addr> {
        self.option(code)?.try_into().ok().map(|octets: [u8; 4]| Ipv4Addr::from(octets))
    }

    /// An option that holds one 32-bit number.
    #[must_use]
    pub fn number_option(&self, code: u8) -> Option<u32> {
        self.option(code)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// The DHCP message type, 0 where there is none.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.option(option::MESSAGE_TYPE).and_then(|value| value.first().copied()).unwrap_or(0)
    }

    /// The message as it travels: with END, and zeros up to 300 octets.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.encode_open();
        bytes.push(option::END);
        if bytes.len() < MINIMUM {
            bytes.resize(MINIMUM, 0);
        }
        bytes
    }

    /// The message without END and padding: for a test that wants its own.
    ///
    /// # Panics
    /// On a value of more than 255 octets.
    #[must_use]
    pub fn encode_open(&self) -> Vec<u8> {
        let mut bytes = vec![self.op, self.htype, self.hlen, self.hops];
        bytes.extend(self.xid.to_be_bytes());
        bytes.extend(self.secs.to_be_bytes());
        bytes.extend(self.flags.to_be_bytes());
        for address in [self.ciaddr, self.yiaddr, self.siaddr, self.giaddr] {
            bytes.extend(address.octets());
        }
        bytes.extend(self.chaddr);
        bytes.extend(self.sname);
        bytes.extend(self.file);
        assert_eq!(bytes.len(), HEADER, "RFC 2131 figure 1");
        bytes.extend(self.cookie);
        for (code, value) in &self.options {
            bytes.push(*code);
            if *code != option::PAD {
                bytes.push(u8::try_from(value.len()).expect("an option holds 255 octets"));
                bytes.extend(value);
            }
        }
        bytes
    }

    /// Takes a message apart that must be without fault: long enough, cookie, no option twice, each whole, END,
    /// and nothing but zeros behind it.
    ///
    /// # Errors
    /// The first fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() < MINIMUM {
            return Err(Malformed(format!("a message of {} octets, fewer than {MINIMUM}", bytes.len())));
        }
        let mut rest = bytes;
        let [op, htype, hlen, hops] = take(&mut rest);
        let message = Self {
            op,
            htype,
            hlen,
            hops,
            xid: u32::from_be_bytes(take(&mut rest)),
            secs: u16::from_be_bytes(take(&mut rest)),
            flags: u16::from_be_bytes(take(&mut rest)),
            ciaddr: take::<4>(&mut rest).into(),
            yiaddr: take::<4>(&mut rest).into(),
            siaddr: take::<4>(&mut rest).into(),
            giaddr: take::<4>(&mut rest).into(),
            chaddr: take(&mut rest),
            sname: take(&mut rest),
            file: take(&mut rest),
            cookie: take(&mut rest),
            options: decode_options(rest)?,
        };
        if message.cookie != COOKIE {
            return Err(Malformed(format!("magic cookie {:?}", message.cookie)));
        }
        Ok(message)
    }
}

/// Takes `N` octets; the caller knows that they are there.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (first, others) = rest.split_at(N);
    *rest = others;
    std::array::from_fn(|at| first[at])
}

fn decode_options(mut rest: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, Malformed> {
    let mut options: Vec<(u8, Vec<u8>)> = Vec::new();
    loop {
        match *rest {
            [option::END, ref padding @ ..] => {
                return match padding.iter().find(|octet| **octet != 0) {
                    Some(octet) => Err(Malformed(format!("octet {octet:#04x} behind END"))),
                    None => Ok(options),
                };
            }
            [option::PAD, ref others @ ..] => {
                options.push((option::PAD, Vec::new()));
                rest = others;
            }
            [code, length, ref others @ ..] if others.len() >= usize::from(length) => {
                if options.iter().any(|(other, _)| *other == code) {
                    return Err(Malformed(format!("option {code} twice")));
                }
                let (value, others) = others.split_at(usize::from(length));
                options.push((code, value.to_vec()));
                rest = others;
            }
            [code, ..] => return Err(Malformed(format!("option {code} is cut off"))),
            [] => return Err(Malformed("no END".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhcproto::{Decodable as _, v4};

    fn example() -> Message {
        let mut message = Message::request(0x1234_5678, [2, 0, 0, 0, 0, 7])
            .with(option::MESSAGE_TYPE, &[kind::REQUEST])
            .with(option::REQUESTED_IP_ADDRESS, &[192, 0, 2, 9])
            .with(option::HOST_NAME, b"seven");
        message.secs = 3;
        message.flags = BROADCAST_FLAG;
        message.ciaddr = [192, 0, 2, 1].into();
        message.yiaddr = [192, 0, 2, 2].into();
        message.siaddr = [192, 0, 2, 3].into();
        message.giaddr = [192, 0, 2, 4].into();
        message.hops = 1;
        message
    }

    #[test]
    fn dhcproto_reads_what_this_writes() {
        let bytes = example().encode();
        let theirs = v4::Message::from_bytes(&bytes).unwrap();
        assert_eq!(theirs.opcode(), v4::Opcode::BootRequest);
        assert_eq!((theirs.xid(), theirs.secs(), theirs.hops()), (0x1234_5678, 3, 1));
        assert!(theirs.flags().broadcast());
        assert_eq!(theirs.chaddr(), [2, 0, 0, 0, 0, 7]);
        assert_eq!(theirs.ciaddr(), Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(theirs.yiaddr(), Ipv4Addr::new(192, 0, 2, 2));
        assert_eq!(theirs.siaddr(), Ipv4Addr::new(192, 0, 2, 3));
        assert_eq!(theirs.giaddr(), Ipv4Addr::new(192, 0, 2, 4));
        assert_eq!(theirs.opts().msg_type(), Some(v4::MessageType::Request));
        assert_eq!(
            theirs.opts().get(v4::OptionCode::RequestedIpAddress),
            Some(&v4::DhcpOption::RequestedIpAddress(Ipv4Addr::new(192, 0, 2, 9)))
        );
        assert_eq!(
            theirs.opts().get(v4::OptionCode::Hostname),
            Some(&v4::DhcpOption::Hostname("seven".into()))
        );
    }

    #[test]
    fn decoding_is_the_inverse_of_encoding() {
        let mut message = example();
        message.sname[0] = 1;
        message.file[127] = 2;
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn every_fault_is_found() {
        let open = example().encode_open();
        let tail = |tail: &[u8]| {
            let mut bytes = open.clone();
            bytes.extend(tail);
            bytes.resize(MINIMUM, 0);
            Message::decode(&bytes).map_err(|Malformed(fault)| fault)
        };
        assert_eq!(tail(&[option::END, 0, 7]), Err("octet 0x07 behind END".into()));
        assert_eq!(tail(&[option::HOST_NAME, 1, 7, option::END]), Err("option 12 twice".into()));
        assert_eq!(tail(&[option::ROUTER, 255]), Err("option 3 is cut off".into()));
        assert_eq!(tail(&[]), Err("no END".into()));
        assert!(Message::decode(&example().encode()[..299]).is_err());
        let mut cookie = example().encode();
        cookie[HEADER] ^= 1;
        assert!(Message::decode(&cookie).is_err());
    }
}
