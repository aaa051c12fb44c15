//! How a server starts, and when it must not. Owns the command line's promises: modes, what is derived without a
//! configuration, and refusals with words.

use std::net::Ipv4Addr;

use tests::{
    client::Client,
    daemon::{Daemon, Setup},
    encode::option,
    lab::{Lan, Namespace, XdpPass},
    port::Port,
    real::{Program, RealClient},
    site::Site,
};

const MANY: &str = "10.9.1.1-10.9.1.200";
const LEASE: &str = "lease-time = \"1h\"";
const DERIVED: Setup<'_> = Setup { interface: Lan::SERVER, config: "", mode: "auto" };

/// The interface's line of `ip link`.
fn link(namespace: &Namespace, interface: &str) -> String {
    let output = namespace.command("ip").args(["-details", "link", "show", interface]).output();
    String::from_utf8_lossy(&output.expect("iproute2's ip").stdout).into_owned()
}

#[test]
fn generic_mode_renews_in_the_kernel() {
    let site = Site::in_mode("generic", MANY, LEASE);
    let mut client = site.leased(Client::new(1));
    site.renew_in_kernel(&mut client);
    assert!(link(&site.lan.server, Lan::SERVER).contains("xdpgeneric"));
}

/// A socket's unfinished checksum is none that generic mode may take: user space answers, and rightly.
#[test]
fn generic_mode_serves_a_real_client() {
    let site = Site::in_mode("generic", MANY, LEASE);
    let host = site.lan.host("eth9");
    let client = RealClient::start(Program::Udhcpc, &host, "eth9");
    let address = client.lease();
    client.wait_for_renewals(2);
    client.release();
    site.wait_until_free(address);
}

/// Every host address but the server's own and the broadcast.
#[test]
fn without_a_configuration_it_serves_its_interfaces_prefix() {
    let lan = Lan::new("10.9.0.1/29");
    let _daemon = Daemon::start(&lan.server, DERIVED);
    let port = Port::open(&lan.clients, Lan::CLIENTS);
    let mut given: Vec<Ipv4Addr> = (1..=5)
        .map(|number| {
            let mut client = Client::new(number);
            let (_, ack) = client.acquire(&port);
            assert_eq!(ack.message.address_option(option::SUBNET_MASK), Some([255, 255, 255, 248].into()));
            client.held().address
        })
        .collect();
    given.sort();
    assert_eq!(given, [2, 3, 4, 5, 6].map(|host| Ipv4Addr::new(10, 9, 0, host)));
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    let lan = Lan::new("10.9.0.1/16");
    let config = "[subnet]\nprefix = \"10.9.0.0/16\"\nlease-tiem = \"1h\"\n";
    let said = Daemon::refusal(&lan.server, Setup { config, ..DERIVED });
    assert!(said.contains("lease-tiem") && said.contains("dhcp-user.toml:3"), "{said}");
}

#[test]
fn a_bad_value_is_refused_with_its_place() {
    let lan = Lan::new("10.9.0.1/16");
    let config = "[subnet]\nprefix = \"10.9.0.0/16\"\npools = [\"10.9.1.9-10.9.1.1\"]\n";
    let said = Daemon::refusal(&lan.server, Setup { config, ..DERIVED });
    assert!(said.contains("10.9.1.9") && said.contains("dhcp-user.toml:3"), "{said}");
}

#[test]
fn someone_elses_xdp_program_is_never_replaced() {
    let lan = Lan::new("10.9.0.1/16");
    let _theirs = XdpPass::attach(&lan.server, Lan::SERVER).expect("an XDP program on a veth");
    let before = link(&lan.server, Lan::SERVER);
    let said = Daemon::refusal(&lan.server, DERIVED);
    assert!(said.contains("XDP"), "{said}");
    assert!(before.contains("prog/xdp"), "{before}");
    assert_eq!(link(&lan.server, Lan::SERVER), before);
}

#[test]
fn an_interface_in_a_bridge_is_refused() {
    let lan = Lan::new("10.9.0.1/16");
    lan.server.ip("link add br9 type bridge");
    lan.server.ip(&format!("link set {} master br9", Lan::SERVER));
    let said = Daemon::refusal(&lan.server, DERIVED);
    assert!(said.contains("br9") || said.contains("bridge"), "{said}");
    assert!(!link(&lan.server, Lan::SERVER).contains("prog/xdp"));
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let site = Site::new(MANY, LEASE);
    let mut client = site.leased(Client::new(1));
    let said = Daemon::refusal(&site.lan.server, DERIVED);
    assert!(!said.is_empty());
    site.renew_in_kernel(&mut client);
}

#[test]
fn an_interface_that_is_not_there_is_refused() {
    let said = Daemon::refusal(&Namespace::new(), Setup { interface: "nope0", ..DERIVED });
    assert!(said.contains("nope0"), "{said}");
}
