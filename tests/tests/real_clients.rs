//! Debian's clients against the server. Owns the claim that programs that nobody here wrote get a lease, renew it
//! in the kernel, keep it over a crash of the daemon, and give it back.

use tests::{
    real::{Program, RealClient},
    site::Site,
};

const POOL: &str = "10.9.1.1-10.9.1.200";
/// T1 is half of it, and a busy machine has the other half to answer in.
const SHORT: &str = "lease-time = \"16s\"";
/// For the client that takes no lease for shorter than two minutes.
const LONG: &str = "lease-time = \"10m\"";
const INTERFACE: &str = "eth9";

/// Lease, two renewals, release.
fn lease_renew_release(program: Program, lines: &str) {
    let site = Site::new(POOL, lines);
    let host = site.lan.host(INTERFACE);
    let client = RealClient::start(program, &host, INTERFACE);
    let address = client.lease();
    assert!(site.daemon.is_bound(address), "{:?}", site.daemon.leases());

    let bound = site.daemon.stats();
    assert!(bound.slow("request") > 0, "the lease was given by the daemon");
    let accepted = client.wait_for_renewals(2);
    let renewed = site.daemon.stats();
    // A client whose T1 the machine let pass rebinds; the kernel may have answered once more by now.
    let in_kernel = renewed.fast("ack-renewing") + renewed.fast("ack-rebinding");
    assert!(
        in_kernel >= accepted,
        "{accepted} renewals accepted, {in_kernel} answered in the kernel: {}",
        renewed.0
    );
    assert_eq!(renewed.slow("request"), bound.slow("request"), "the daemon saw a renewal");

    client.release();
    site.wait_until_free(address);
}

/// A daemon killed with -9 knows every lease when it comes back.
fn keeps_its_lease_over_a_crash(program: Program, lines: &str) {
    let mut site = Site::new(POOL, lines);
    let host = site.lan.host(INTERFACE);
    let client = RealClient::start(program, &host, INTERFACE);
    let address = client.lease();

    site.daemon.kill9();
    let reported = client.renewals();
    site.daemon.restart();
    assert!(site.daemon.is_bound(address), "{:?}", site.daemon.leases());
    client.wait_for_renewals(reported + 1);
    client.release();
    site.wait_until_free(address);

    let again = RealClient::start(program, &host, INTERFACE);
    assert_eq!(again.lease(), address, "the same client gets the same address");
}

#[test]
fn dhclient_gets_renews_and_releases_a_lease() {
    lease_renew_release(Program::Dhclient, SHORT);
}

#[test]
fn udhcpc_gets_renews_and_releases_a_lease() {
    lease_renew_release(Program::Udhcpc, LONG);
}

#[test]
fn dhcpcd_gets_renews_and_releases_a_lease() {
    lease_renew_release(Program::Dhcpcd, SHORT);
}

#[test]
fn dhclient_keeps_its_lease_over_a_crash() {
    keeps_its_lease_over_a_crash(Program::Dhclient, SHORT);
}

#[test]
fn udhcpc_keeps_its_lease_over_a_crash() {
    keeps_its_lease_over_a_crash(Program::Udhcpc, LONG);
}

#[test]
fn dhcpcd_keeps_its_lease_over_a_crash() {
    keeps_its_lease_over_a_crash(Program::Dhcpcd, SHORT);
}
