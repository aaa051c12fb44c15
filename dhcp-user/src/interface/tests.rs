//! Facts about links that the tests make, in namespaces of their own.

use super::*;
use crate::sys::testnet::{Namespace, XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE, XdpPass, index, ip};

/// Asks from the calling thread's namespace.
fn find(name: &str) -> Result<Interface, InterfaceError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Interface::find(name))
}

#[test]
fn a_link_is_described() {
    Namespace::new().run(|| {
        ip("link add v0 address 02:00:00:00:00:01 mtu 1400 type veth peer name v1");
        let down = find("v0").unwrap();
        assert!(!down.up && down.addresses.is_empty() && down.gateway.is_none());

        ip("link set v0 up");
        ip("address add 192.0.2.1/24 broadcast + dev v0");
        ip("address add 169.254.0.1/16 scope link dev v0");
        ip("address add 192.0.2.2/24 dev v0");
        ip("address add 198.51.100.1/24 dev v1");
        let link = find("v0").unwrap();
        assert_eq!((link.name.as_str(), link.index), ("v0", index("v0")));
        assert_eq!((link.mac, link.mtu, link.up), (Mac([2, 0, 0, 0, 0, 1]), 1400, true));
        assert_eq!((link.kind.as_deref(), link.xdp), (Some("veth"), None));
        let address = |address: [u8; 4], length, broadcast: Option<[u8; 4]>, global| InterfaceAddress {
            address: address.into(),
            prefix: Ipv4Net::new(address.into(), length).unwrap(),
            broadcast: broadcast.map(Into::into),
            global,
        };
        assert_eq!(
            link.addresses,
            [
                address([169, 254, 0, 1], 16, None, false),
                address([192, 0, 2, 1], 24, Some([192, 0, 2, 255]), true),
                address([192, 0, 2, 2], 24, None, true),
            ]
        );
    });
}

#[test]
fn the_best_default_route_here_names_the_gateway() {
    Namespace::new().run(|| {
        for (name, network) in [("v0", "192.0.2"), ("w0", "198.51.100")] {
            ip(&format!("link add {name} type veth peer name {name}p"));
            ip(&format!("link set {name} up"));
            ip(&format!("link set {name}p up"));
            ip(&format!("address add {network}.1/24 dev {name}"));
        }
        ip("route add default via 198.51.100.9 dev w0 metric 1");
        ip("route add 10.0.0.0/8 via 192.0.2.7 dev v0");
        ip("route add default via 192.0.2.6 dev v0 table 100");
        assert_eq!(find("v0").unwrap().gateway, None);
        ip("route add default via 192.0.2.9 dev v0 metric 200");
        ip("route add default via 192.0.2.8 dev v0 metric 100");
        assert_eq!(find("v0").unwrap().gateway, Some([192, 0, 2, 8].into()));
        ip("route add default metric 50 nexthop via 198.51.100.3 dev w0 nexthop via 192.0.2.3 dev v0");
        assert_eq!(find("v0").unwrap().gateway, Some([192, 0, 2, 3].into()));
    });
}

#[test]
fn an_attached_program_is_seen() {
    Namespace::new().run(|| {
        ip("link add v0 type veth peer name v1");
        for (flags, mode) in [(XDP_FLAGS_DRV_MODE, XdpMode::Native), (XDP_FLAGS_SKB_MODE, XdpMode::Generic)] {
            let link = XdpPass::attach("v0", flags);
            let attached = find("v0").unwrap().xdp.unwrap();
            assert_eq!(attached.mode, mode);
            assert_ne!(attached.program, 0);
            drop(link);
        }
        assert_eq!(find("v0").unwrap().xdp, None);
    });
}

#[test]
fn a_peer_beside_us_is_asked() {
    Namespace::new().run(|| {
        ip("link add v0 type veth peer name v1");
        assert_eq!(find("v0").unwrap().peer, Some(VethPeer::NoXdp));
        let generic = XdpPass::attach("v1", XDP_FLAGS_SKB_MODE);
        assert_eq!(find("v0").unwrap().peer, Some(VethPeer::NoXdp));
        drop(generic);
        let _native = XdpPass::attach("v1", XDP_FLAGS_DRV_MODE);
        assert_eq!(find("v0").unwrap().peer, Some(VethPeer::Xdp));
        assert_eq!(find("v1").unwrap().peer, Some(VethPeer::NoXdp));
    });
}

#[test]
fn a_peer_elsewhere_is_asked_there() {
    let (here, there) = (Namespace::new(), Namespace::new());
    let path = there.path();
    // Both ends get the same index, which is where a peer in another namespace is easily mistaken for oneself.
    here.run(|| ip(&format!("link add v0 index 77 type veth peer name v1 index 77 netns {path}")));
    let peer = || here.run(|| find("v0").unwrap().peer);
    assert_eq!(peer(), Some(VethPeer::NoXdp));
    let _own = here.run(|| XdpPass::attach("v0", XDP_FLAGS_DRV_MODE));
    assert_eq!(peer(), Some(VethPeer::NoXdp));
    let native = there.run(|| XdpPass::attach("v1", XDP_FLAGS_DRV_MODE));
    assert_eq!(peer(), Some(VethPeer::Xdp));
    drop(native);
    assert_eq!(peer(), Some(VethPeer::NoXdp));
}

#[test]
fn only_veths_have_peers() {
    Namespace::new().run(|| {
        ip("link add b0 type bridge");
        let link = find("b0").unwrap();
        assert_eq!((link.kind.as_deref(), link.peer), (Some("bridge"), None));
    });
}

#[test]
fn what_cannot_be_served_is_refused_in_words() {
    Namespace::new().run(|| {
        let refusal = |name| find(name).unwrap_err().to_string();
        ip("link add v0 type veth peer name v1");
        for name in ["eth9", "", "a-name-that-is-too-long"] {
            let error = refusal(name);
            let names = error.strip_prefix(&format!("there is no interface {name}; there are ")).unwrap();
            for existing in ["lo", "v0", "v1"] {
                assert!(names.split(", ").any(|name| name == existing), "{error}");
            }
        }
        assert!(refusal("lo").starts_with("lo is the loopback"));
        ip("tuntap add mode tun name t0");
        assert!(refusal("t0").starts_with("t0 is not an Ethernet interface (tun)"));
        ip("link add b0 type bridge");
        ip("link set v0 master b0");
        assert!(refusal("v0").starts_with("v0 is a port of b0 (bridge)"), "{}", refusal("v0"));
        assert!(find("b0").is_ok());
    });
}
