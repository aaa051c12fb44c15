//! What happens to the interface while it is served. Owns the claim that the daemon notices, and that nobody's
//! renewal is lost for longer than that takes.

use std::{
    thread,
    time::{Duration, Instant},
};
use tests::{client::Client, lab::Lan, site::Site};

const MANY: &str = "10.9.1.1-10.9.1.200";
const LEASE: &str = "lease-time = \"1h\"";
/// How long the daemon may take to notice.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_peer_that_no_longer_takes_native_xdp_is_served_in_generic_mode() {
    let mut site = Site::in_mode("auto", MANY, LEASE);
    let mut client = site.leased(Client::new(1));
    site.renew_in_kernel(&mut client);
    assert_eq!(site.daemon.stats().0["mode"], "native");

    site.lan.end_pass();
    let deadline = Instant::now() + PATIENCE;
    while site.daemon.stats().0["mode"] != "generic" {
        assert!(Instant::now() < deadline, "it stays native");
        thread::sleep(Duration::from_millis(100));
    }
    site.renew_in_kernel(&mut client);
}

#[test]
fn a_new_hardware_address_is_answered_from() {
    let site = Site::in_mode("auto", MANY, LEASE);
    let mut client = site.leased(Client::new(1));
    site.lan.server.ip(&format!("link set {} address 02:00:00:00:ff:01", Lan::SERVER));
    let deadline = Instant::now() + PATIENCE;
    loop {
        // By broadcast, because the client still knows the old address.
        let frame = client.rebinding();
        let reply = site.try_once(&client, &frame).expect("an answer to a broadcast");
        if reply.src_mac == [2, 0, 0, 0, 0xff, 1] {
            break;
        }
        assert!(Instant::now() < deadline, "it answers from the old address");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_daemon_without_its_interface_ends_with_words() {
    let mut site = Site::in_mode("auto", MANY, LEASE);
    site.lan.server.ip(&format!("link delete {}", Lan::SERVER));
    let said = site.daemon.fails();
    assert!(said.contains(Lan::SERVER), "{said}");
}

#[test]
fn an_interface_that_becomes_a_bridges_port_is_left() {
    let mut site = Site::in_mode("auto", MANY, LEASE);
    site.lan.server.ip("link add br7 type bridge");
    site.lan.server.ip(&format!("link set {} master br7", Lan::SERVER));
    let said = site.daemon.fails();
    assert!(said.contains("br7"), "{said}");
}
