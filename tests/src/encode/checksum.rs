//! The Internet checksum (RFC 1071) over an IP header and over a UDP datagram. Owns the arithmetic alone.

use std::net::Ipv4Addr;

/// The checksum of `bytes` (their own checksum field zero): the complement of the ones-complement sum.
#[must_use]
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// A UDP datagram's checksum (its own field zero), RFC 768: "If the computed checksum is zero, it is
/// transmitted as all ones".
#[must_use]
pub fn udp_checksum(source: Ipv4Addr, destination: Ipv4Addr, datagram: &[u8]) -> u16 {
    let pseudo_header = u64::from(udp_pseudo_header_sum(source, destination, datagram.len() as u16));
    match !fold(pseudo_header + sum(datagram)) {
        0 => 0xffff,
        checksum => checksum,
    }
}

/// The sum of the pseudo-header, not complemented: what a socket leaves in the field where it expects hardware
/// to finish the checksum.
#[must_use]
pub fn udp_pseudo_header_sum(source: Ipv4Addr, destination: Ipv4Addr, udp_length: u16) -> u16 {
    const UDP: u64 = 17;
    fold(sum(&source.octets()) + sum(&destination.octets()) + UDP + u64::from(udp_length))
}

/// The sum of big-endian 16-bit words, an odd last octet padded with zero.
fn sum(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0))).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071 §3: 0001 f203 f4f5 f6f7 add up to ddf2.
    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(internet_checksum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn an_odd_octet_counts_as_the_high_one() {
        assert_eq!(internet_checksum(&[0x12, 0x34, 0x56]), internet_checksum(&[0x12, 0x34, 0x56, 0]));
    }

    #[test]
    fn a_udp_checksum_of_zero_travels_as_all_ones() {
        let zero = Ipv4Addr::UNSPECIFIED;
        // Pseudo-header: 17 + 10; datagram: length 10, and a word that brings the sum to ffff.
        let word = (0xffff_u16 - 17 - 10 - 10).to_be_bytes();
        assert_eq!(udp_checksum(zero, zero, &[0, 0, 0, 0, 0, 10, 0, 0, word[0], word[1]]), 0xffff);
    }
}
