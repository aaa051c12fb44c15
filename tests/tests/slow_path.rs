//! What user space decides: RFC 2131 §4.3, one test a rule. Owns the server's answers to messages; their bytes are
//! `hygiene.rs`'s.

use std::net::Ipv4Addr;

use tests::{
    client::Client,
    encode::{BROADCAST_FLAG, BROADCAST_MAC, Message, kind, option},
    site::Site,
};

const MANY: &str = "10.9.1.1-10.9.1.200";
const ONE: &str = "10.9.1.1-10.9.1.1";
const LEASE: &str = "lease-time = \"1h\"";
const OTHER_SERVER: [u8; 4] = [10, 9, 0, 2];

/// A REQUEST that takes another server's offer.
fn selecting_another_server(client: &mut Client, offer: &Message) -> Message {
    let request = client.select(offer).without(option::SERVER_IDENTIFIER);
    request.with(option::SERVER_IDENTIFIER, &OTHER_SERVER)
}

#[test]
fn an_offer_and_its_ack_have_what_table_3_wants() {
    let site = Site::new(MANY, LEASE);
    let mut client = Client::new(1);
    let (offer, ack) = client.acquire(&site.port);
    for (reply, kind) in [(&offer, kind::OFFER), (&ack, kind::ACK)] {
        let message = &reply.message;
        assert_eq!(message.kind(), kind);
        assert_eq!(message.ciaddr, Ipv4Addr::UNSPECIFIED);
        assert_eq!(message.yiaddr, client.held().address);
        assert_eq!(&message.chaddr[..6], client.mac);
        assert_eq!(message.address_option(option::SERVER_IDENTIFIER), Some(Site::SERVER));
        assert_eq!(message.number_option(option::LEASE_TIME), Some(3600));
        assert_eq!(message.address_option(option::SUBNET_MASK), Some([255, 255, 0, 0].into()));
        assert_eq!(message.address_option(option::ROUTER), Some(Site::SERVER));
        for requests_own in [option::REQUESTED_IP_ADDRESS, option::PARAMETER_REQUEST_LIST] {
            assert_eq!(message.option(requests_own), None, "table 3: MUST NOT");
        }
    }
}

#[test]
fn a_client_without_an_address_is_answered_at_its_hardware_address() {
    let site = Site::new(MANY, LEASE);
    let mut client = Client::new(1);
    let (offer, ack) = client.acquire(&site.port);
    for reply in [offer, ack] {
        assert_eq!((reply.dst, reply.dst_mac), (client.held().address, client.mac));
    }
}

#[test]
fn a_client_that_asks_for_broadcasts_gets_them() {
    let site = Site::new(MANY, LEASE);
    let mut client = Client { flags: BROADCAST_FLAG, ..Client::new(1) };
    let (offer, ack) = client.acquire(&site.port);
    for reply in [offer, ack] {
        assert_eq!((reply.dst, reply.dst_mac), (Ipv4Addr::BROADCAST, BROADCAST_MAC));
        assert_eq!(reply.message.flags, BROADCAST_FLAG);
    }
}

#[test]
fn discover_again_gets_the_same_offer() {
    let site = Site::new(MANY, LEASE);
    let mut client = Client::new(1);
    let discover = client.discover();
    let first = site.answer(&client, &client.broadcast(&discover));
    let again = site.answer(&client, &client.broadcast(&discover));
    let another = client.discover();
    let later = site.answer(&client, &client.broadcast(&another));
    assert_eq!(first.message.yiaddr, again.message.yiaddr);
    assert_eq!(first.message.yiaddr, later.message.yiaddr);
}

#[test]
fn an_offered_address_is_offered_to_nobody_else() {
    let site = Site::new(ONE, LEASE);
    let mut first = Client::new(1);
    let discover = first.discover();
    site.answer(&first, &first.broadcast(&discover));
    site.assert_no_offer(&mut Client::new(2));
}

#[test]
fn selecting_another_server_frees_the_offer_and_is_not_answered() {
    let site = Site::new(ONE, LEASE);
    let mut first = Client::new(1);
    let discover = first.discover();
    let offer = site.answer(&first, &first.broadcast(&discover));
    let request = selecting_another_server(&mut first, &offer.message);
    site.assert_silent(&first.broadcast(&request).encode(), first.xid);
    let second = site.leased(Client::new(2));
    assert_eq!(second.held().address, offer.message.yiaddr);
}

#[test]
fn a_requested_address_is_honoured() {
    let site = Site::new(MANY, LEASE);
    let wanted = [10, 9, 1, 77];
    let mut client = Client::new(1);
    let discover = client.discover().with(option::REQUESTED_IP_ADDRESS, &wanted);
    let offer = site.answer(&client, &client.broadcast(&discover));
    assert_eq!(offer.message.yiaddr, Ipv4Addr::from(wanted));
}

#[test]
fn a_requested_address_of_someone_else_is_not_given() {
    let site = Site::new(MANY, LEASE);
    let holder = site.leased(Client::new(1));
    let mut client = Client::new(2);
    let discover = client.discover().with(option::REQUESTED_IP_ADDRESS, &holder.held().address.octets());
    let offer = site.answer(&client, &client.broadcast(&discover));
    assert_ne!(offer.message.yiaddr, holder.held().address);
}

#[test]
fn the_same_client_gets_the_same_address_after_its_release() {
    let site = Site::new(MANY, LEASE);
    let mut client = site.leased(Client::new(1));
    let first = client.held();
    site.release(&mut client);
    site.leased(Client::new(2));
    client.lease = None;
    client.acquire(&site.port);
    assert_eq!(client.held().address, first.address);
}

#[test]
fn the_free_address_that_was_used_longest_ago_is_given_first() {
    let site = Site::new("10.9.1.1-10.9.1.2", LEASE);
    let mut first = site.leased(Client::new(1));
    let mut second = site.leased(Client::new(2));
    for client in [&mut second, &mut first] {
        site.release(client);
    }
    assert_eq!(site.leased(Client::new(3)).held().address, second.held().address);
    assert_eq!(site.leased(Client::new(4)).held().address, first.held().address);
}

#[test]
fn a_reservation_is_its_clients_alone() {
    let owner = Client::new(2);
    let [a, b, c, d, e, f] = owner.mac;
    let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
    let table = format!("{LEASE}\n[[reservation]]\nmac = \"{mac}\"\naddress = \"10.9.1.1\"");
    let site = Site::new("10.9.1.1-10.9.1.2", &table);
    let stranger = site.leased(Client::new(1));
    assert_eq!(stranger.held().address, Ipv4Addr::new(10, 9, 1, 2));
    site.assert_no_offer(&mut Client::new(3));
    assert_eq!(site.leased(owner).held().address, Ipv4Addr::new(10, 9, 1, 1));
}

#[test]
fn init_reboot_with_its_own_address_is_acknowledged() {
    let site = Site::new(MANY, LEASE);
    let mut client = site.leased(Client::new(1));
    let address = client.held().address;
    let request = client.reboot(address);
    let ack = site.answer(&client, &client.broadcast(&request));
    client.accept(&ack);
    assert_eq!((client.held().address, ack.message.ciaddr), (address, Ipv4Addr::UNSPECIFIED));
}

#[test]
fn init_reboot_on_the_wrong_network_is_refused() {
    let site = Site::new(MANY, LEASE);
    let mut client = Client::new(1);
    let request = client.reboot(Ipv4Addr::new(192, 168, 77, 5));
    site.assert_nak(&client, &client.broadcast(&request));
}

#[test]
fn init_reboot_with_another_address_than_its_own_is_refused() {
    let site = Site::new(MANY, LEASE);
    let mut client = site.leased(Client::new(1));
    let request = client.reboot(Ipv4Addr::new(10, 9, 1, 150));
    site.assert_nak(&client, &client.broadcast(&request));
}

#[test]
fn init_reboot_of_a_stranger_with_someone_elses_address_is_refused() {
    let site = Site::new(MANY, LEASE);
    let holder = site.leased(Client::new(1));
    let mut stranger = Client::new(2);
    let request = stranger.reboot(holder.held().address);
    site.assert_nak(&stranger, &stranger.broadcast(&request));
}

#[test]
fn init_reboot_of_a_stranger_with_a_free_address_is_not_answered() {
    let site = Site::new(MANY, LEASE);
    let mut stranger = Client::new(1);
    let request = stranger.reboot(Ipv4Addr::new(10, 9, 1, 150));
    site.assert_silent(&stranger.broadcast(&request).encode(), stranger.xid);
}

#[test]
fn rebinding_someone_elses_address_is_refused() {
    let site = Site::new(MANY, LEASE);
    let holder = site.leased(Client::new(1));
    let mut stranger = Client { lease: holder.lease, ..Client::new(2) };
    let frame = stranger.rebinding();
    site.assert_nak(&stranger, &frame);
}

#[test]
fn rebinding_on_the_wrong_network_is_refused() {
    let site = Site::new(MANY, LEASE);
    let mut client = site.leased(Client::new(1));
    client.lease.as_mut().expect("a lease").address = Ipv4Addr::new(192, 168, 77, 5);
    let frame = client.rebinding();
    site.assert_nak(&client, &frame);
}

#[test]
fn rebinding_a_free_address_without_a_record_is_not_answered() {
    let site = Site::new(MANY, LEASE);
    let mut stranger = site.leased(Client::new(1));
    stranger.mac = Client::new(2).mac;
    stranger.lease.as_mut().expect("a lease").address = Ipv4Addr::new(10, 9, 1, 150);
    let frame = stranger.rebinding();
    site.assert_silent(&frame.encode(), stranger.xid);
}

#[test]
fn a_declined_address_is_not_offered_again() {
    let site = Site::new(ONE, LEASE);
    let mut client = site.leased(Client::new(1));
    let decline = client.decline();
    site.port.send(&client.broadcast(&decline).encode());
    site.assert_no_offer(&mut client);
    site.assert_no_offer(&mut Client::new(2));
}

#[test]
fn someone_elses_decline_and_release_change_nothing() {
    let site = Site::new(ONE, LEASE);
    let mut holder = site.leased(Client::new(1));
    let mut stranger = Client { lease: holder.lease, ..Client::new(2) };
    let (decline, release) = (stranger.decline(), stranger.release());
    site.port.send(&stranger.broadcast(&decline).encode());
    site.port.send(&stranger.unicast(&release).encode());
    site.assert_no_offer(&mut Client::new(3));
    site.renew_in_kernel(&mut holder);
}

#[test]
fn a_released_address_is_free() {
    let site = Site::new(ONE, LEASE);
    let mut first = site.leased(Client::new(1));
    assert!(site.daemon.is_bound(first.held().address));
    site.release(&mut first);
    assert_eq!(site.leased(Client::new(2)).held().address, first.held().address);
}

/// RFC 2131 §4.3.5: no lease is allocated, and neither `yiaddr` nor a lease time is filled in.
#[test]
fn inform_gets_parameters_and_no_lease() {
    let site = Site::new(ONE, LEASE);
    let mut client = Client::new(1);
    let address = Ipv4Addr::new(10, 9, 200, 1);
    let inform = client.inform(address);
    let ack = site.answer(&client, &client.broadcast(&inform));
    assert_eq!(ack.message.kind(), kind::ACK);
    assert_eq!((ack.message.ciaddr, ack.message.yiaddr), (address, Ipv4Addr::UNSPECIFIED));
    assert_eq!(ack.message.option(option::LEASE_TIME), None);
    assert_eq!(ack.message.address_option(option::ROUTER), Some(Site::SERVER));
    assert_eq!((ack.dst, ack.dst_mac), (address, client.mac));
    assert!(!site.daemon.is_bound(address));
    site.leased(Client::new(2));
}

/// A lease of someone else's address gives no right to it, even by an INFORM.
#[test]
fn inform_about_a_leased_address_does_not_end_the_lease() {
    let site = Site::new(ONE, LEASE);
    let mut holder = site.leased(Client::new(1));
    let mut other = Client::new(2);
    let inform = other.inform(holder.held().address);
    site.answer(&other, &other.broadcast(&inform));
    site.renew_in_kernel(&mut holder);
}

/// What does not fit the client's 576 octets is not answered, and takes no address from anybody.
#[test]
fn an_answer_that_does_not_fit_takes_no_address() {
    let site = Site::new("10.9.1.1-10.9.1.1", "");
    let mut greedy = Client::new(1).with(61, &[7; 255]).with(82, &[&[1u8, 60][..], &[9; 60]].concat());
    let offer = greedy.reboot("10.9.1.1".parse().unwrap()).with(54, &[10, 9, 0, 1]);
    site.try_once(&greedy, &greedy.broadcast(&offer));
    assert_eq!(site.daemon.stats().slow("request"), 1);
    site.leased(Client::new(2));
}

#[test]
fn a_declined_address_is_listed_as_quarantined() {
    let site = Site::new("10.9.1.1-10.9.1.1", "");
    let mut client = site.leased(Client::new(1));
    let address = client.held().address;
    let decline = client.decline();
    site.port.send(&client.broadcast(&decline).encode());
    site.wait_until_free(address);
    site.assert_no_offer(&mut Client::new(2));
    let leases = site.daemon.leases();
    assert!(
        leases.iter().any(|lease| lease["address"] == address.to_string() && lease["state"] == "quarantined"),
        "{leases:?}"
    );
}
