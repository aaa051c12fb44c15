//! Takes a server's frame apart and accepts no fault in it. Owns what every reply must satisfy whatever it
//! answers; whether it is the right answer is the test's to say.

use std::{error, fmt, net::Ipv4Addr};

use super::{BOOTREPLY, Mac, Message, VlanTag, internet_checksum, udp_checksum};

/// The first fault that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for Malformed {}

/// A server's datagram without fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Destination.
    pub dst_mac: Mac,
    /// Source.
    pub src_mac: Mac,
    /// Tags, the outer one first.
    pub tags: Vec<VlanTag>,
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Destination port: 68, or 67 towards a relay.
    pub dst_port: u16,
    /// Octets of the IP datagram.
    pub total_length: usize,
    /// Octets of the DHCP message, its padding included.
    pub message_length: usize,
    /// The DHCP message.
    pub message: Message,
}

impl Reply {
    /// Whether these bytes look like a datagram from a DHCP server at all, well-formed or not.
    #[must_use]
    pub fn is_from_server(frame: &[u8]) -> bool {
        let Ok((_, 0x0800, ip)) = ethernet(frame) else { return false };
        let header = usize::from(ip.first().copied().unwrap_or(0) & 15) * 4;
        ip.get(9) == Some(&17) && ip.get(header..header + 2) == Some(&[0, 67])
    }

    /// Takes a frame apart: lengths consistent, both checksums right and present, no fragment, no IP options,
    /// TTL 64, IP ID 0, DF, from port 67, BOOTREPLY, at least 300 octets, END, zeros behind it, `hops` and
    /// `secs` zero (RFC 2131 table 3).
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let fault = |text: String| Err(Malformed(text));
        let (tags, ethertype, ip) = ethernet(frame)?;
        if ethertype != 0x0800 || ip.len() < 28 {
            return fault(format!("ethertype {ethertype:#06x} with {} octets", ip.len()));
        }
        let word = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
        let total_length = usize::from(word(2));
        if total_length < 28 || ip.len() < total_length {
            return fault(format!("total length {total_length} in {} octets", ip.len()));
        }
        let (datagram, padding) = ip.split_at(total_length);
        if !padding.is_empty() && (frame.len() > 60 || padding.iter().any(|octet| *octet != 0)) {
            return fault(format!("{} octets behind the datagram", padding.len()));
        }
        let (header, udp) = datagram.split_at(20);
        // Version and IHL, identification, DF alone, TTL, protocol.
        let expected = (0x45, 0, 0x4000, 64, 17);
        let found = (header[0], word(4), word(6), header[8], header[9]);
        if found != expected {
            return fault(format!("IP header {found:?}, not {expected:?}"));
        }
        if internet_checksum(header) != 0 {
            return fault("IP checksum".into());
        }
        let (src, dst) = (address(&header[12..]), address(&header[16..]));
        if usize::from(word(24)) != udp.len() {
            return fault(format!("UDP length {} of {}", word(24), udp.len()));
        }
        let mut summed = udp.to_vec();
        summed[6..8].fill(0);
        if word(26) != udp_checksum(src, dst, &summed) {
            return fault(format!("UDP checksum {:#06x}", word(26)));
        }
        if word(20) != 67 || ![67, 68].contains(&word(22)) {
            return fault(format!("ports {} and {}", word(20), word(22)));
        }
        let message = Message::decode(&udp[8..])?;
        if (message.op, message.hops, message.secs) != (BOOTREPLY, 0, 0) {
            return fault(format!("op {}, hops {}, secs {}", message.op, message.hops, message.secs));
        }
        Ok(Self {
            dst_mac: std::array::from_fn(|at| frame[at]),
            src_mac: std::array::from_fn(|at| frame[6 + at]),
            tags,
            src,
            dst,
            dst_port: word(22),
            total_length,
            message_length: udp.len() - 8,
            message,
        })
    }
}

/// The tags, the type, and what follows them.
fn ethernet(frame: &[u8]) -> Result<(Vec<VlanTag>, u16, &[u8]), Malformed> {
    let mut tags = Vec::new();
    let mut rest = frame.get(12..).unwrap_or_default();
    loop {
        let [high, low, others @ ..] = rest else {
            return Err(Malformed(format!("a frame of {} octets", frame.len())));
        };
        let ethertype = u16::from_be_bytes([*high, *low]);
        match (ethertype, others) {
            (0x8100 | 0x88a8, [tci_high, tci_low, others @ ..]) => {
                tags.push(VlanTag { tpid: ethertype, tci: u16::from_be_bytes([*tci_high, *tci_low]) });
                rest = others;
            }
            _ => return Ok((tags, ethertype, others)),
        }
    }
}

fn address(bytes: &[u8]) -> Ipv4Addr {
    Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Frame, kind, option};

    fn frame() -> Frame {
        let request = Message::request(7, [2, 0, 0, 0, 0, 1]);
        let ack = Message::reply_to(&request)
            .with(option::MESSAGE_TYPE, &[kind::ACK])
            .with(option::SERVER_IDENTIFIER, &[192, 0, 2, 1]);
        let (server, client) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        Frame::reply([2, 0, 0, 0, 0, 9], server, [2, 0, 0, 0, 0, 1], client, &ack)
    }

    #[test]
    fn a_right_reply_is_taken_apart() {
        let reply = Reply::parse(&frame().encode()).unwrap();
        assert_eq!(reply.message.kind(), kind::ACK);
        assert_eq!(reply.message.address_option(option::SERVER_IDENTIFIER), Some(reply.src));
        assert_eq!((reply.message_length, reply.total_length), (300, 328));
        assert!(Reply::is_from_server(&frame().encode()));
    }

    #[test]
    fn one_changed_bit_anywhere_behind_the_addresses_is_a_fault() {
        let bytes = frame().encode();
        for at in 12..bytes.len() {
            // A type of service may be anything, but the checksum covers it too.
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(Reply::parse(&changed).is_err(), "octet {at}");
        }
    }

    #[test]
    fn every_length_but_the_right_one_is_a_fault() {
        let bytes = frame().encode();
        for length in 0..bytes.len() {
            assert!(Reply::parse(&bytes[..length]).is_err(), "{length} octets");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(Reply::parse(&longer).is_err());
    }

    #[test]
    fn a_missing_udp_checksum_is_a_fault() {
        let frame = Frame { udp_checksum: crate::encode::UdpChecksum::None, ..frame() };
        assert!(Reply::parse(&frame.encode()).is_err());
    }
}
