//! What was published is what the kernel answers from.

use super::*;
use crate::{identity::ClientId, sys::testnet::Namespace};
use dhcp_ebpf::abi::{
    BootSecs, Bounds, CLASS_COMPARED, CLASS_IDENTITY, CLASS_IGNORED, CLASS_SELECTOR, Ip, LINK_ADDRESSES,
    LeaseSecs, Mac, NETWORK_RENEWING,
};
use std::net::Ipv4Addr;
use zerocopy::FromZeros;

const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
/// The loopback of a fresh namespace.
const IFINDEX: u32 = 1;
const NETWORK: u32 = 1;
const EPOCH: u32 = 4;
const PROFILE: u16 = 6;
const SERVER: [u8; 4] = [192, 0, 2, 1];
const CLIENT: [u8; 4] = [192, 0, 2, 10];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SHAPE: [u8; 5] = [55, 3, 1, 3, 6];
const BOUNDS: Bounds = Bounds { horizon: BootSecs(u32::MAX - 1), promised: BootSecs(u32::MAX - 2) };

/// A renewal by unicast (RFC 2131 table 4) with these options behind option 53.
fn renewal(options: &[u8]) -> Vec<u8> {
    let mut dhcp = vec![0; 236];
    dhcp[..4].copy_from_slice(&[1, 1, 6, 0]);
    dhcp[12..16].copy_from_slice(&CLIENT);
    dhcp[28..34].copy_from_slice(&CLIENT_MAC);
    dhcp.extend([99, 130, 83, 99, 53, 1, 3]);
    dhcp.extend(options);
    dhcp.push(255);
    dhcp.resize(300.max(dhcp.len()), 0);

    let udp_len = dhcp.len() as u16 + 8;
    let mut ip = vec![0x45, 0];
    ip.extend((udp_len + 20).to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    ip.extend([CLIENT, SERVER].concat());
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());

    let mut frame = [&SERVER_MAC[..], &CLIENT_MAC, &[8, 0], &ip, &[0, 68, 0, 67]].concat();
    frame.extend(udp_len.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(dhcp);
    frame
}

/// With the client identifier `id` and this host name.
fn renewal_of(id: &[u8], host_name: &[u8]) -> Vec<u8> {
    let mut options = SHAPE.to_vec();
    for (code, value) in [(61, id), (12, host_name)] {
        if !value.is_empty() {
            options.extend([code, value.len() as u8]);
            options.extend(value);
        }
    }
    renewal(&options)
}

fn serving() -> FastPath {
    let mut fast_path = FastPath::load(SIZES).expect("BPF needs root");
    let mut addresses = [Ip::ZERO; LINK_ADDRESSES];
    addresses[0] = Ip(SERVER);
    let link = Link { network: NETWORK, mtu: 1500, addresses, mac: Mac(SERVER_MAC), ..Link::default() };
    fast_path.set_link(IFINDEX, &link).unwrap();
    let mut classes = Classes([CLASS_IGNORED; 256]);
    for (code, class) in [(12, CLASS_COMPARED), (55, CLASS_SELECTOR), (61, CLASS_IDENTITY)] {
        classes.0[code] = class;
    }
    let network = Network { answers: NETWORK_RENEWING, epoch: EPOCH };
    fast_path.set_network(NETWORK, &network, &classes).unwrap();
    fast_path
}

/// A template of a header, a cookie and option 51.
fn template() -> Option<Template> {
    let mut template = Template::new_zeroed();
    template.lease = LeaseSecs(600);
    let body = [&[2, 1, 6][..], &[0; 233], &[99, 130, 83, 99, 53, 1, 5, 51, 4, 0, 0, 0, 0]].concat();
    template.body[..body.len()].copy_from_slice(&body);
    template.body_len = body.len() as u16;
    template.lease_at = template.body_len - 4;
    Some(template)
}

/// The name of the one reason that was counted since `before`.
fn reason(fast_path: &FastPath, before: &[(&'static str, u64)]) -> &'static str {
    let counted: Vec<_> = fast_path.counters().unwrap();
    let mut new = counted.iter().zip(before).filter(|(now, before)| now.1 != before.1);
    let (found, _) = new.next().unwrap();
    assert!(new.next().is_none());
    found.0
}

fn run(fast_path: &FastPath, frame: &[u8]) -> (u32, Vec<u8>, &'static str) {
    let before = fast_path.counters().unwrap();
    let (verdict, out) = fast_path.test_run(frame, IFINDEX).unwrap();
    (verdict, out, reason(fast_path, &before))
}

#[test]
fn a_published_lease_is_answered_until_it_is_closed() {
    Namespace::new().run(|| {
        let mut fast_path = serving();
        let template = fast_path.template_for(EPOCH, PROFILE.into(), &SHAPE, template);
        let ids = [vec![], vec![1, 2, 3], vec![5; 40], vec![6; 41], vec![7; 200]];
        for id in ids {
            let client = ClientId::from_option(&id).unwrap_or(ClientId::from_chaddr(Mac(CLIENT_MAC)));
            let address = Ipv4Addr::from(CLIENT);
            let slot = fast_path
                .publish(NETWORK, address, &client, BOUNDS, PROFILE, template, Some(b"rack-7"))
                .unwrap();
            let frame = renewal_of(&id, b"rack-7");
            let (verdict, reply, why) = run(&fast_path, &frame);
            assert_eq!((verdict, why), (XDP_TX, "ack-renewing"), "{id:?}");
            assert_eq!((&reply[..6], reply[42]), (&CLIENT_MAC[..], 2), "{id:?}");
            let end = fast_path.kernel_end(slot);
            assert!(end > BootSecs(600) && end < BOUNDS.promised, "{end:?}");

            let passes = |fast_path: &FastPath, frame: &[u8], expected: &str| {
                let (verdict, out, why) = run(fast_path, frame);
                assert_eq!((verdict, out.as_slice(), why), (XDP_PASS, frame, expected), "{id:?}");
            };
            passes(&fast_path, &renewal_of(&[8; 41], b"rack-7"), "identity");
            passes(&fast_path, &renewal_of(&id, b"rack-8"), "compared");
            fast_path.set_host_name(slot, Some(b"rack-8")).unwrap();
            passes(&fast_path, &frame, "compared");
            fast_path.set_host_name(slot, None).unwrap();
            passes(&fast_path, &frame, "compared");
            assert_eq!(run(&fast_path, &renewal_of(&id, b"")).0, XDP_TX);
            fast_path.close(slot);
            passes(&fast_path, &frame, "closed");
            fast_path.reopen(slot);
            assert_eq!(run(&fast_path, &renewal_of(&id, b"")).0, XDP_TX);
            fast_path.set_horizon(slot, BootSecs(1));
            passes(&fast_path, &renewal_of(&id, b""), "horizon");
            fast_path.close(slot);
            fast_path.unpublish(slot, NETWORK, address).unwrap();
            passes(&fast_path, &frame, "no-lease");
        }
    });
}

#[test]
fn a_shape_is_found_from_a_slot_that_names_another_of_its_profile() {
    Namespace::new().run(|| {
        let mut fast_path = serving();
        let other = fast_path.template_for(EPOCH, PROFILE.into(), &[55, 1, 1], template);
        let client = ClientId::from_chaddr(Mac(CLIENT_MAC));
        let slot = fast_path.publish(NETWORK, CLIENT.into(), &client, BOUNDS, PROFILE, other, None).unwrap();
        let frame = renewal_of(&[], &[]);
        assert_eq!(run(&fast_path, &frame).2, "no-template");
        fast_path.template_for(EPOCH, (PROFILE + 1).into(), &SHAPE, template).unwrap();
        assert_eq!(run(&fast_path, &frame).2, "no-template", "another profile's");
        fast_path.template_for(EPOCH, PROFILE.into(), &SHAPE, template).unwrap();
        assert_eq!(run(&fast_path, &frame).2, "ack-renewing");
        fast_path.set_template(slot, None);
        assert_eq!(run(&fast_path, &frame).2, "ack-renewing", "by its shape alone");
        fast_path.withhold(slot);
        assert_eq!(run(&fast_path, &frame).2, "no-template");
    });
}
