//! Answering, by `BPF_PROG_TEST_RUN`: one lease, one template. What a reply should be comes from the encoder of
//! the end-to-end tests, which is written from the RFCs' tables and shares nothing with the product.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use dhcp_ebpf::abi::{
    BootSecs, Bounds, CLASS_IGNORED, CLASS_SELECTOR, Classes, Ip, LINK_ADDRESSES, LeaseSecs, Link, Mac,
    NETWORK_RENEWING, Network, Template,
};
use dhcp_user::{
    fastpath::{FastPath, FastPathError},
    identity::ClientId,
};
use tests::encode::{Frame, Message, kind, option};
use zerocopy::FromZeros as _;

use super::load::fast_path;
use crate::network::LOOPBACK_INDEX;

const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const LEASE: LeaseSecs = LeaseSecs(600);
const HORIZON: BootSecs = BootSecs(1_000_000);

const NETWORK: u32 = 0;
const EPOCH: u32 = 1;
const PROFILE: u16 = 1;
const ASKED: [u8; 3] = [option::SUBNET_MASK, option::ROUTER, option::DOMAIN_NAME];
/// Long enough for a reply that is longer than the request by more than half of what a frame can grow by.
const DOMAIN: [u8; 180] = [b'x'; 180];

/// Where the values of options 54 and 51 stand in [`ack`]: behind option 53.
const SERVER_ID_AT: u16 = 240 + 3 + 2;
const LEASE_AT: u16 = SERVER_ID_AT + 4 + 2;

/// A RENEWING client's message (RFC 2131 table 4).
fn request(mac: [u8; 6]) -> Message {
    let message = Message::request(0x1234_5678, mac)
        .with(option::MESSAGE_TYPE, &[kind::REQUEST])
        .with(option::PARAMETER_REQUEST_LIST, &ASKED);
    Message { ciaddr: CLIENT, ..message }
}

fn frame(message: &Message) -> Vec<u8> {
    Frame::unicast(CLIENT_MAC, CLIENT, SERVER_MAC, SERVER, message).encode()
}

/// What it is answered with.
fn ack(request: &Message) -> Message {
    let message = Message::reply_to(request)
        .with(option::MESSAGE_TYPE, &[kind::ACK])
        .with(option::SERVER_IDENTIFIER, &SERVER.octets())
        .with(option::LEASE_TIME, &LEASE.0.to_be_bytes())
        .with(option::DOMAIN_NAME, &DOMAIN);
    Message { ciaddr: request.ciaddr, yiaddr: CLIENT, ..message }
}

fn template() -> Option<Template> {
    let body = ack(&request([0; 6])).encode_open();
    let mut template = Template::new_zeroed();
    template.lease = LEASE;
    template.server_id_at = SERVER_ID_AT;
    template.lease_at = LEASE_AT;
    template.body_len = u16::try_from(body.len()).ok()?;
    template.body.get_mut(..body.len())?.copy_from_slice(&body);
    Some(template)
}

/// The fast path with the one lease that it has room for, and its slot.
fn serving() -> Result<(FastPath, u32)> {
    let mut fast_path = fast_path()?;
    let mut addresses = [Ip::ZERO; LINK_ADDRESSES];
    addresses[0] = SERVER.into();
    let link = Link { network: NETWORK, mtu: 1500, addresses, mac: Mac(SERVER_MAC), ..Link::default() };
    fast_path.set_link(LOOPBACK_INDEX, &link)?;
    let mut classes = Classes([CLASS_IGNORED; 256]);
    classes.0[usize::from(option::PARAMETER_REQUEST_LIST)] = CLASS_SELECTOR;
    let network = Network { answers: NETWORK_RENEWING, epoch: EPOCH };
    fast_path.set_network(NETWORK, &network, &classes)?;

    let mut selectors = vec![option::PARAMETER_REQUEST_LIST, ASKED.len() as u8];
    selectors.extend(ASKED);
    let template = fast_path.template_for(EPOCH, PROFILE.into(), &selectors, template);
    ensure!(template.is_some(), "the template is not published");
    let slot = publish(&mut fast_path, CLIENT, template)?;
    Ok((fast_path, slot))
}

fn publish(fast_path: &mut FastPath, address: Ipv4Addr, template: Option<u32>) -> Result<u32, FastPathError> {
    let client = ClientId::from_chaddr(Mac(CLIENT_MAC));
    let bounds = Bounds { horizon: HORIZON, promised: HORIZON };
    fast_path.publish(NETWORK, address, &client, bounds, PROFILE, template, None)
}

/// Runs the program on a frame: verdict, frame, and the reason that was counted.
fn run(fast_path: &FastPath, frame: &[u8]) -> Result<(u32, Vec<u8>, &'static str)> {
    let before = fast_path.counters()?;
    let (verdict, out) = fast_path.test_run(frame, LOOPBACK_INDEX)?;
    let after = fast_path.counters()?;
    let counted = after.iter().zip(&before).find(|((_, now), (_, then))| now != then);
    let ((reason, _), _) = counted.context("no reason was counted")?;
    Ok((verdict, out, reason))
}

pub(super) fn renewal_is_answered_in_a_longer_frame() -> Result<String> {
    let (fast_path, slot) = serving()?;
    let request = request(CLIENT_MAC);
    let frame = frame(&request);
    let expected = Frame::reply(SERVER_MAC, SERVER, CLIENT_MAC, CLIENT, &ack(&request)).encode();
    let (verdict, reply, reason) = run(&fast_path, &frame)?;
    ensure!((verdict, reason) == (XDP_TX, "ack-renewing"), "verdict {verdict}, {reason}");
    ensure!(reply == expected, "the reply is {reply:02x?}, not {expected:02x?}");
    let end = fast_path.kernel_end(slot);
    ensure!(end >= BootSecs(LEASE.0) && end < HORIZON, "the promised end is {end:?}");
    Ok(format!("XDP_TX, {} octets became {}", frame.len(), reply.len()))
}

pub(super) fn what_is_not_decided_passes_untouched() -> Result<String> {
    let (mut fast_path, slot) = serving()?;
    let renewal = frame(&request(CLIENT_MAC));
    let stranger = frame(&request([2, 0, 0, 0, 0, 2]));
    let discover = frame(&request(CLIENT_MAC).without(option::MESSAGE_TYPE).with(option::MESSAGE_TYPE, &[1]));
    let passes = |fast_path: &FastPath, frame: &[u8], expected: &str| {
        let (verdict, out, reason) = run(fast_path, frame)?;
        ensure!((verdict, reason) == (XDP_PASS, expected), "verdict {verdict}, {reason}, not {expected}");
        ensure!(out == frame, "{expected}: the passed frame is {out:02x?}, not {frame:02x?}");
        Ok(())
    };
    passes(&fast_path, &[0; 64], "not-dhcp")?;
    passes(&fast_path, &stranger, "identity")?;
    passes(&fast_path, &discover, "message-type")?;
    fast_path.close(slot);
    passes(&fast_path, &renewal, "closed")?;
    Ok("not-dhcp, identity, message-type, closed".to_owned())
}

pub(super) fn full_map_refuses() -> Result<String> {
    let (mut fast_path, _) = serving()?;
    match publish(&mut fast_path, Ipv4Addr::new(192, 0, 2, 11), None) {
        Err(FastPathError::Full { slots }) => Ok(format!("full at {slots}")),
        Err(error) => Err(error).context("another refusal than that of a full map"),
        Ok(slot) => anyhow::bail!("slot {slot} was given to a second lease"),
    }
}
