//! What follows from the interface, and what does not fit it.

use super::*;
use crate::interface::{Interface, InterfaceAddress};

fn interface(addresses: &[&str], gateway: Option<&str>) -> Interface {
    let addresses = addresses.iter().map(|text| {
        let prefix: Ipv4Net = text.parse().unwrap();
        InterfaceAddress { address: prefix.addr(), prefix, broadcast: Some(prefix.broadcast()), global: true }
    });
    Interface {
        name: "eth0".to_owned(),
        addresses: addresses.collect(),
        gateway: gateway.map(|text| text.parse().unwrap()),
        ..Interface::default()
    }
}

fn resolve(text: &str, interface: &Interface) -> Result<Settings, String> {
    let config = Config::parse("f", text).unwrap();
    Settings::resolve(&config, interface, &[Ipv4Addr::new(9, 9, 9, 9)]).map_err(|error| error.to_string())
}

fn pools(settings: &Settings) -> String {
    list(&settings.pools)
}

#[test]
fn everything_is_derived() {
    let settings = resolve("", &interface(&["192.0.2.10/24"], Some("192.0.2.1"))).unwrap();
    assert_eq!(settings.prefix.to_string(), "192.0.2.0/24");
    assert_eq!(settings.server, Ipv4Addr::new(192, 0, 2, 10));
    assert_eq!(pools(&settings), "192.0.2.2-192.0.2.9, 192.0.2.11-192.0.2.254");
    assert_eq!(settings.lease, LeaseSecs(3_600));
    assert_eq!(settings.routers, [Ipv4Addr::new(192, 0, 2, 1)]);
    assert_eq!(settings.dns, [Ipv4Addr::new(9, 9, 9, 9)]);
    assert_eq!((settings.domain, settings.horizon), (None, 2));
}

#[test]
fn all_own_addresses_stay_out_of_the_pool() {
    let settings = resolve("", &interface(&["10.0.0.1/29", "10.0.0.3/29", "172.16.0.1/16"], None)).unwrap();
    assert_eq!(pools(&settings), "10.0.0.2-10.0.0.2, 10.0.0.4-10.0.0.6");
    assert_eq!(settings.own.len(), 3);
    assert!(settings.routers.is_empty());
}

#[test]
fn a_gateway_elsewhere_is_no_router() {
    let settings = resolve("", &interface(&["10.0.0.1/29"], Some("172.16.0.1"))).unwrap();
    assert!(settings.routers.is_empty());
}

#[test]
fn the_smallest_subnet_has_a_client() {
    let settings = resolve("", &interface(&["10.0.0.1/30"], None)).unwrap();
    assert_eq!(pools(&settings), "10.0.0.2-10.0.0.2");
}

#[test]
fn configured_pools_lose_what_is_taken() {
    let text = "[subnet]\nprefix = \"10.0.1.0/24\"\npools = [\"10.0.1.128/25\", \"10.0.1.0-10.0.1.9\"]\nrouter = \"10.0.1.200\"";
    let settings = resolve(text, &interface(&["172.16.0.1/16", "10.0.1.5/24"], Some("10.0.1.7"))).unwrap();
    assert_eq!(settings.server, Ipv4Addr::new(10, 0, 1, 5));
    assert_eq!(settings.own, [Ipv4Addr::new(10, 0, 1, 5), Ipv4Addr::new(172, 16, 0, 1)]);
    assert_eq!(
        pools(&settings),
        "10.0.1.1-10.0.1.4, 10.0.1.6-10.0.1.6, 10.0.1.8-10.0.1.9, 10.0.1.128-10.0.1.199, 10.0.1.201-10.0.1.254"
    );
    assert_eq!(settings.routers, [Ipv4Addr::new(10, 0, 1, 200)]);
}

#[test]
fn a_large_prefix_wants_pools() {
    let wide = interface(&["10.0.0.1/8"], None);
    assert!(
        resolve("", &wide).unwrap_err().starts_with("10.0.0.0/8 is too large to lease all of it; configure")
    );
    assert!(resolve("[subnet]\npools = \"10.1.0.0/16\"", &wide).is_ok());
    assert!(resolve("", &interface(&["10.0.0.1/12"], None)).is_ok());
}

#[test]
fn prefixes_without_hosts_are_refused() {
    for length in [31, 32] {
        let error = resolve("", &interface(&[&format!("10.0.0.1/{length}")], None)).unwrap_err();
        assert!(error.contains("no host addresses to lease"), "{error}");
    }
    assert!(
        resolve("", &interface(&[], None))
            .unwrap_err()
            .starts_with("interface eth0 has no global IPv4 address")
    );
}

#[test]
fn a_full_subnet_is_refused() {
    let error = resolve("", &interface(&["10.0.0.1/30"], Some("10.0.0.2"))).unwrap_err();
    assert!(error.starts_with("no address of 10.0.0.0/30 is left"), "{error}");
}

#[test]
fn a_prefix_without_an_address_of_ours_is_refused() {
    let text = "[subnet]\nprefix = \"10.0.1.0/24\"";
    assert_eq!(
        resolve(text, &interface(&["10.0.0.1/24"], None)).unwrap_err(),
        "f:2:10: interface eth0 has no address in 10.0.1.0/24 (it has 10.0.0.1/24); \
         give it one (`ip address add ADDRESS/24 dev eth0`), or leave `prefix` out"
    );
    assert!(resolve(text, &interface(&[], None)).unwrap_err().contains("(it has none at all)"));
}

#[test]
fn what_does_not_fit_is_told_at_once() {
    let text = r#"[subnet]
pools = ["10.0.0.10-10.0.1.20"]
router = "10.0.2.1"
[[reservation]]
mac = "02:00:00:00:00:01"
address = "10.0.3.1"
[[reservation]]
mac = "02:00:00:00:00:02"
address = "10.0.0.1"
[[reservation]]
mac = "02:00:00:00:00:03"
address = "10.0.0.255"
"#;
    let error = resolve(text, &interface(&["10.0.0.1/24"], None)).unwrap_err();
    let starts = [
        "f:3:10: router 10.0.2.1 is outside the subnet 10.0.0.0/24; ",
        "f:2:10: pool 10.0.0.10-10.0.1.20 is not inside the subnet 10.0.0.0/24; keep pools within 10.0.0.0-10.0.0.255",
        "f:6:11: reserved address 10.0.3.1 is outside the subnet 10.0.0.0/24; ",
        "f:9:11: reserved address 10.0.0.1 is this server's own; ",
        "f:12:11: reserved address 10.0.0.255 is the subnet's network or broadcast address; ",
    ];
    assert_eq!(error.lines().count(), starts.len(), "{error}");
    for (line, start) in error.lines().zip(starts) {
        assert!(line.starts_with(start), "{line} is not {start}");
    }
}

#[test]
fn reservations_alone_are_enough() {
    let text = "[subnet]\npools = []\n[[reservation]]\nmac = \"02:00:00:00:00:01\"\naddress = \"10.0.0.9\"";
    let settings = resolve(text, &interface(&["10.0.0.1/24"], None)).unwrap();
    assert!(settings.pools.is_empty());
    let expected = Reservation { mac: Mac([2, 0, 0, 0, 0, 1]), address: Ipv4Addr::new(10, 0, 0, 9) };
    assert_eq!(settings.reservations, [expected]);
}

#[test]
fn the_start_says_what_is_served() {
    let text = "[subnet]\nlease-time = \"infinite\"\ndns = []\ndomain = \"lan\"";
    let settings = resolve(text, &interface(&["10.0.0.1/29"], Some("10.0.0.2"))).unwrap();
    assert_eq!(
        settings.describe(),
        "subnet   10.0.0.0/29, server 10.0.0.1\n\
         pool     10.0.0.3-10.0.0.6 (4 addresses)\n\
         lease    infinite, durable up to 2 lease times ahead\n\
         router   10.0.0.2\n\
         dns      none\n\
         domain   lan"
    );
}
