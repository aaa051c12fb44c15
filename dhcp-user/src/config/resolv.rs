//! The host's own resolvers, for clients where the configuration names none.

use std::{fs, net::Ipv4Addr};

/// The resolver configuration, and the one behind it where systemd-resolved put its loopback address into the first.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The host's IPv4 resolvers that a client can reach: those not on the loopback, in order; none where there is
/// no such file.
pub fn host_resolvers() -> Vec<Ipv4Addr> {
    FILES
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .map(|text| nameservers(&text))
        .find(|servers| !servers.is_empty())
        .unwrap_or_default()
}

fn nameservers(text: &str) -> Vec<Ipv4Addr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok())?
        })
        .filter(|address: &Ipv4Addr| !address.is_loopback() && !address.is_unspecified())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reachable_servers_are_found() {
        let text = "# nameserver 192.0.2.1\nsearch lan\nnameserver 127.0.0.53\nnameserver\t192.0.2.53 # x\n\
                    nameserver 2001:db8::1\n nameserver 192.0.2.54\nnameserver\n";
        assert_eq!(nameservers(text), [Ipv4Addr::new(192, 0, 2, 53), Ipv4Addr::new(192, 0, 2, 54)]);
    }
}
