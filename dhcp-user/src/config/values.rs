//! What each value of the file may be, by itself: from the text to the type, or to words that say what is wrong.

use super::{AddressRange, duration, error::Wrong, file::Time};
use dhcp_ebpf::abi::{LeaseSecs, Mac};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

pub(super) fn prefix(text: &str) -> Result<Ipv4Net, Wrong> {
    let prefix = whole_prefix(text)?;
    if prefix.prefix_len() > 30 {
        return Err(Wrong::new(
            format!("{prefix} has no host addresses to lease"),
            "use a prefix of /30 or shorter",
        ));
    }
    Ok(prefix)
}

pub(super) fn pool(text: &str) -> Result<AddressRange, Wrong> {
    let Some((first, last)) = text.split_once('-') else {
        return whole_prefix(text).map(AddressRange::of);
    };
    let (first, last) = (address(first.trim())?, address(last.trim())?);
    if first > last {
        return Err(Wrong::new(
            format!("the pool runs backwards, from {first} to {last}"),
            format!("write \"{last}-{first}\""),
        ));
    }
    Ok(AddressRange { first, last })
}

pub(super) fn address(text: &str) -> Result<Ipv4Addr, Wrong> {
    match text.parse::<Ipv4Addr>() {
        Ok(address) if is_host(address) => Ok(address),
        Ok(address) => {
            Err(Wrong::new(format!("{address} is no host's address"), "write a unicast IPv4 address"))
        }
        Err(_) => Err(Wrong::new(
            format!("\"{text}\" is not an IPv4 address"),
            "write four numbers from 0 to 255 like \"192.0.2.1\"",
        )),
    }
}

pub(super) fn mac(text: &str) -> Result<Mac, Wrong> {
    let octets: Option<Vec<u8>> = text
        .split([':', '-'])
        .filter(|octet| octet.len() == 2 && octet.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .map(|octet| u8::from_str_radix(octet, 16).ok())
        .collect();
    match octets.and_then(|octets| <[u8; 6]>::try_from(octets).ok()).map(Mac) {
        Some(mac) if mac.is_unicast() => Ok(mac),
        Some(mac) => {
            Err(Wrong::new(format!("{mac} is no single host's MAC"), "write the client's own address"))
        }
        None => Err(Wrong::new(
            format!("\"{text}\" is not a MAC"),
            "write six hexadecimal octets like \"02:00:00:00:00:01\"",
        )),
    }
}

pub(super) fn lease_time(written: &Time) -> Result<LeaseSecs, Wrong> {
    const FIX: &str =
        "write seconds as a number, or \"90s\", \"30m\", \"12h\", \"7d\", \"2w\" or \"infinite\"";
    let lease = match written {
        Time::Text(text) => {
            duration::parse(text).ok_or_else(|| Wrong::new(format!("\"{text}\" is not a lease time"), FIX))?
        }
        Time::Seconds(seconds) => u32::try_from(*seconds)
            .ok()
            .map(LeaseSecs)
            .filter(|lease| *lease != LeaseSecs::INFINITE)
            .ok_or_else(|| Wrong::new(format!("{seconds} seconds do not fit option 51"), FIX))?,
    };
    if lease.0 == 0 {
        return Err(Wrong::new("a lease of no time is no lease", FIX));
    }
    Ok(lease)
}

/// A domain name in the letters of RFC 952 and RFC 1123 §2.1, within the lengths of RFC 1035 §2.3.4.
pub(super) fn domain(text: &str) -> Result<String, Wrong> {
    let label_is_good = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(label_is_good) {
        return Err(Wrong::new(
            format!("\"{text}\" is not a domain name"),
            "write labels of letters, digits and hyphens with dots between them, like \"example.net\"",
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn horizon(times: &i64) -> Result<u32, Wrong> {
    const MOST: u32 = 100;
    u32::try_from(*times).ok().filter(|times| (1..=MOST).contains(times)).ok_or_else(|| {
        Wrong::new(
            format!("a horizon of {times} lease times is of no use"),
            format!("write a number from 1 to {MOST} (2 is a good one)"),
        )
    })
}

/// A prefix without host bits.
fn whole_prefix(text: &str) -> Result<Ipv4Net, Wrong> {
    let Ok(prefix) = text.parse::<Ipv4Net>() else {
        return Err(Wrong::new(
            format!("\"{text}\" is not an IPv4 prefix or range"),
            "write a prefix like \"192.0.2.0/24\", or for a pool a range like \"192.0.2.10-192.0.2.99\"",
        ));
    };
    if prefix.addr() != prefix.network() {
        return Err(Wrong::new(
            format!("{prefix} is an address in a prefix, not a prefix"),
            format!("write \"{}\"", prefix.trunc()),
        ));
    }
    Ok(prefix)
}

fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_are_read() {
        let expected = Mac([2, 0, 0, 0xab, 0xcd, 0xef]);
        for text in ["02:00:00:ab:cd:ef", "02-00-00-AB-CD-EF"] {
            assert_eq!(mac(text).ok(), Some(expected), "{text}");
        }
        for text in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:00:01",
            "2:0:0:0:0:1",
            "+2:00:00:00:00:01",
            "0200.0000.0001",
        ] {
            assert!(mac(text).is_err(), "{text}");
        }
        for text in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"] {
            assert!(mac(text).is_err_and(|wrong| wrong.message.contains("no single host's")), "{text}");
        }
    }

    #[test]
    fn domains_are_checked() {
        for text in ["lan", "example.net", "a-b.c1"] {
            assert!(domain(text).is_ok(), "{text}");
        }
        let long = ["a"; 128].join(".");
        for text in ["", ".", "example.net.", "a..b", "-a.b", "a-.b", "a b", "ä.de", &"a".repeat(64), &long]
        {
            assert!(domain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pools_are_ranges_or_prefixes() {
        let range = AddressRange { first: [192, 0, 2, 8].into(), last: [192, 0, 2, 15].into() };
        for text in ["192.0.2.8-192.0.2.15", "192.0.2.8 - 192.0.2.15", "192.0.2.8/29"] {
            assert_eq!(pool(text).ok(), Some(range), "{text}");
        }
        for text in ["", "192.0.2.8", "192.0.2.8-", "192.0.2.8-15", "192.0.2.9/29", "192.0.2.15-192.0.2.8"] {
            assert!(pool(text).is_err(), "{text}");
        }
    }
}
