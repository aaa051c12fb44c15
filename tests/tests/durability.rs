//! When a promise ends, and that it does not end earlier: over time, over a crash, over a release. Each test is
//! named after a mistake that a DHCP server has made.

use std::{
    thread,
    time::{Duration, Instant},
};

use tests::{client::Client, encode::option, site::Site};

const ONE: &str = "10.9.1.1-10.9.1.1";
const MANY: &str = "10.9.1.1-10.9.1.200";
const LEASE: &str = "lease-time = \"1h\"";
/// Seconds of a short lease; long enough for a slow machine to renew it in time.
const SHORT: u64 = 12;

fn short() -> String {
    format!("lease-time = \"{SHORT}s\"")
}

#[test]
fn a_lease_never_ends() {
    let site = Site::new(ONE, &short());
    let mut first = site.leased(Client::new(1));
    let mut second = Client::new(2);
    let given_up = Instant::now() + Duration::from_secs(10 * SHORT);
    loop {
        let discover = second.discover();
        if site.try_once(&second, &second.broadcast(&discover)).is_some() {
            break;
        }
        assert!(Instant::now() < given_up, "the address is still held: {:?}", site.daemon.leases());
    }
    second.acquire(&site.port);
    assert_eq!(second.held().address, first.held().address);
    let before = site.daemon.stats();
    let frame = first.rebinding();
    site.assert_nak(&first, &frame);
    assert_eq!(site.daemon.stats().fast_answers(), before.fast_answers());
}

/// Renews for two lease times: past the end that user space gave, and past the end that the kernel gave first.
#[test]
fn a_lease_that_the_kernel_extends_is_freed_at_its_old_end() {
    let site = Site::new(ONE, &short());
    let mut holder = site.leased(Client::new(1));
    let until = Instant::now() + Duration::from_secs(2 * SHORT);
    let mut other = Client::new(2);
    while Instant::now() < until {
        site.renew(&mut holder);
        thread::sleep(Duration::from_secs(SHORT / 6));
        let discover = other.discover();
        site.port.send(&other.broadcast(&discover).encode());
    }
    site.assert_no_offer(&mut other);
    assert!(site.daemon.is_bound(holder.held().address));
    assert!(site.daemon.stats().fast("ack-renewing") > 0, "the fast path took part");
}

/// The kernel extends a lease; then user space answers the same client, whose parameter list is new to it.
#[test]
fn user_space_overwrites_the_end_that_the_kernel_has_just_extended() {
    let site = Site::new(ONE, &short());
    let mut holder = site.leased(Client::new(1));
    let plain = holder.options.clone();
    let until = Instant::now() + Duration::from_secs(2 * SHORT);
    let mut code = 1;
    while Instant::now() < until {
        site.renew_in_kernel(&mut holder);
        code += 1;
        holder = Client { options: vec![(option::PARAMETER_REQUEST_LIST, vec![1, 3, code])], ..holder };
        site.renew(&mut holder);
        holder.options.clone_from(&plain);
        // Puts the plain template back into the slot.
        site.renew(&mut holder);
        thread::sleep(Duration::from_secs(SHORT / 6));
    }
    site.assert_no_offer(&mut Client::new(2));
    site.renew_in_kernel(&mut holder);
}

#[test]
fn a_map_entry_outlives_its_lease() {
    let site = Site::new(ONE, LEASE);
    let mut first = site.leased(Client::new(1));
    site.renew_in_kernel(&mut first);
    site.release(&mut first);
    let before = site.daemon.stats();
    // The daemon may give the address anew to the client that it remembers; the kernel must not.
    let frame = first.renewing();
    site.try_once(&first, &frame);
    assert_eq!(site.daemon.stats().fast_answers(), before.fast_answers());
}

#[test]
fn leases_are_kept_in_memory_only() {
    let mut site = Site::new(MANY, LEASE);
    let mut clients: Vec<Client> = (1..=20).map(|number| site.leased(Client::new(number))).collect();
    site.daemon.kill9();
    site.daemon.restart();
    for client in &mut clients {
        assert!(site.daemon.is_bound(client.held().address), "{:?}", client.held());
        site.renew(client);
    }
    let stranger = site.leased(Client::new(21));
    assert!(clients.iter().all(|client| client.held().address != stranger.held().address));
}

#[test]
fn an_orderly_stop_loses_a_lease() {
    let mut site = Site::new(ONE, LEASE);
    let mut client = site.leased(Client::new(1));
    site.daemon.terminate();
    site.daemon.restart();
    site.renew(&mut client);
    site.assert_no_offer(&mut Client::new(2));
}

#[test]
fn an_orderly_stop_leaves_the_fast_path_attached() {
    let mut site = Site::new(ONE, LEASE);
    let mut client = site.leased(Client::new(1));
    site.daemon.terminate();
    let frame = client.renewing();
    assert_eq!(site.try_once(&client, &frame), None);
}

#[test]
fn after_a_crash_renewals_are_left_to_user_space() {
    let mut site = Site::new(MANY, LEASE);
    let mut clients: Vec<Client> = (1..=3).map(|number| site.leased(Client::new(number))).collect();
    site.daemon.kill9();
    site.daemon.restart();
    // The first one shows the daemon what such clients ask for, which is not stored.
    site.renew(&mut clients[0]);
    for client in &mut clients {
        site.renew_in_kernel(client);
    }
}

/// The extension that only the kernel knew of is still good after a crash.
#[test]
fn a_crash_takes_back_what_the_kernel_promised() {
    const LEASE: u64 = 40;
    let mut site = Site::new(ONE, &format!("lease-time = \"{LEASE}s\""));
    let mut holder = site.leased(Client::new(1));
    thread::sleep(Duration::from_secs(LEASE / 2));
    site.renew_in_kernel(&mut holder);
    site.daemon.kill9();
    site.daemon.restart();
    // Past the end that user space gave, long before the one that the kernel gave.
    thread::sleep(Duration::from_secs(LEASE / 2 + 1));
    assert!(site.daemon.is_bound(holder.held().address), "{:?}", site.daemon.leases());
    site.assert_no_offer(&mut Client::new(2));
}
