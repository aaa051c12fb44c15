//! Ten thousand clients at once. Owns the claim that renewals need neither user space nor the disk.

use tests::{encode::option, herd::Herd, site::Site};

const CLIENTS: u32 = 10_000;
const WINDOW: usize = 64;

#[test]
fn ten_thousand_clients_acquire_and_all_renew_in_the_kernel() {
    // So long that no horizon falls due while this runs.
    let site = Site::new("10.9.1.0-10.9.250.255", "lease-time = \"8h\"");
    let mut herd = Herd::new(CLIENTS, WINDOW);
    herd.clients.iter_mut().for_each(|client| {
        let name = format!("client-{:02x?}", client.mac);
        client.options.push((option::HOST_NAME, name.into_bytes()));
    });
    let acquired = herd.acquire(&site.port);
    assert_eq!(herd.addresses().len(), CLIENTS as usize);

    let before = site.daemon.stats();
    assert!(before.slow("request") >= u64::from(CLIENTS), "each lease was given by the daemon: {acquired:?}");
    let renewed = herd.renew(&site.port);
    let after = site.daemon.stats();

    let in_kernel = after.fast("ack-renewing") - before.fast("ack-renewing");
    assert!(
        (u64::from(CLIENTS)..=renewed.sent).contains(&in_kernel),
        "{in_kernel} in the kernel, {renewed:?}"
    );
    assert_eq!(after.slow("request"), before.slow("request"), "the daemon saw renewals");
    assert_eq!(after.commits(), before.commits(), "renewals wrote to the store");
    assert_eq!(herd.addresses().len(), CLIENTS as usize);
}
