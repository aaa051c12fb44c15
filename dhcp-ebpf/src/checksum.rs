//! The Internet checksum, RFC 1071, over a [`Datagram`]. Sums are of words as they stand in memory: the
//! checksum's algebra is the same in either byte order, so nothing here swaps bytes.

use crate::wire::{DATAGRAM_MAX, Datagram, fresh, ipv4};
use core::hint::black_box;

/// Folds a sum into the 16 bits that stand on the wire, not yet complemented.
#[inline(always)]
pub const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The sum of an IP header: folded it is 0xffff where the header's checksum is right.
#[inline(always)]
pub fn ip_header(header: &ipv4::Header) -> u64 {
    let [a, b, c, d, e] = header.words().map(|word| u64::from(u32::from_ne_bytes(word.to_bytes())));
    a + b + c + d + e
}

/// The sum of the UDP pseudo-header, RFC 768, for `udp_len` octets of UDP.
#[inline(always)]
pub fn pseudo_header(header: &ipv4::Header, udp_len: u16) -> u64 {
    u64::from(u32::from_ne_bytes(header.source.0))
        + u64::from(u32::from_ne_bytes(header.destination.0))
        + u64::from(u16::from(ipv4::PROTOCOL_UDP).to_be())
        + u64::from(udp_len.to_be())
}

/// Octets before the first word of [`udp`]'s loop: the IP destination, which the pseudo-header wants anyway.
const SUM_FROM: usize = 16;

/// The sum of pseudo-header and UDP, as long as the UDP header says: folded it is 0xffff where the checksum is
/// right.
#[inline(always)]
pub fn udp(datagram: &Datagram) -> u64 {
    let words: &[u64; DATAGRAM_MAX / 8] = zerocopy::transmute_ref!(datagram);
    let udp_len = fresh(&datagram.udp.len).get();
    let end = udp_end(datagram);
    let mut sum = u64::from(u32::from_ne_bytes(datagram.ip.source.0))
        + u64::from(u16::from(ipv4::PROTOCOL_UDP).to_be())
        + u64::from(udp_len.to_be());
    for index in SUM_FROM / 8..DATAGRAM_MAX / 8 {
        if index >= end / 8 {
            break;
        }
        let Some(word) = words.get(index) else { break };
        sum += (word & 0xffff_ffff) + (word >> 32);
    }
    // Anew: Linux 6.1's verifier follows exits that cannot be taken with what they say of the loop's bound.
    let end = udp_end(datagram);
    // What lies behind the end is of another packet.
    let behind = (1u64 << (end % 8 * 8)) - 1;
    let last = words.get(black_box(end / 8)).map_or(0, |word| (u64::from_le(*word) & behind).to_le());
    sum + (last & 0xffff_ffff) + (last >> 32)
}

/// Octets from the IP header on to where the UDP header says that UDP ends.
#[inline(always)]
fn udp_end(datagram: &Datagram) -> usize {
    size_of::<ipv4::Header>() + usize::from(fresh(&datagram.udp.len).get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    /// RFC 1071 §4.1, octet by octet.
    fn naive(octets: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in octets.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn the_sum_is_that_of_rfc_1071_at_every_length() {
        let mut datagram = Datagram::zeroed();
        for (index, octet) in datagram.as_mut_bytes().iter_mut().enumerate() {
            *octet = (index * 197 + 13) as u8;
        }
        for udp_len in 8..(DATAGRAM_MAX - 20) as u16 {
            datagram.udp.len = udp_len.into();
            let octets = datagram.as_bytes();
            let mut whole = std::vec![0, 17];
            whole.extend(udp_len.to_be_bytes());
            whole.extend(&octets[12..20]);
            whole.extend(&octets[20..20 + usize::from(udp_len)]);
            assert_eq!(fold(udp(&datagram)).to_ne_bytes(), naive(&whole).to_be_bytes(), "{udp_len}");
        }
    }

    #[test]
    fn a_header_from_a_capture_sums_to_ones() {
        let octets =
            [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        let datagram = Datagram::copy_of(&octets).unwrap();
        assert_eq!(fold(ip_header(&datagram.ip)), 0xffff);
    }

    #[test]
    fn sums_fold_to_the_last_carry() {
        assert_eq!(fold(0xffff_ffff_ffff_ffff), 0xffff);
        assert_eq!(fold(0x1_0000), 1);
        assert_eq!(fold(0), 0);
    }
}
