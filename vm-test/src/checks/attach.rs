//! Attaching, to what drivers this kernel has: veth and virtio_net, in native and in generic mode.

use anyhow::{Result, ensure};
use dhcp_user::{cli::Mode, fastpath::FastPath, interface::XdpMode};

use super::load::fast_path;
use crate::network::{CARD, CLIENT_END, SERVER_END, find};

/// Attaches to an interface that is to be served in this mode without a complaint, and asks the kernel whether
/// it is.
fn attach(fast_path: &mut FastPath, name: &str, asked: Mode, expected: XdpMode) -> Result<String> {
    let attached = fast_path.attach(&find(name)?, asked)?;
    ensure!((attached.mode, &attached.why) == (expected, &None), "{name}: {attached:?}");
    let there = find(name)?.xdp.map(|xdp| xdp.mode);
    ensure!(there == Some(expected), "{name}: the kernel has {there:?}, not {expected:?}");
    Ok(format!("{expected} on {name}"))
}

/// A veth answers natively only where its peer has a program too. Any that passes will do: the fast path itself
/// does, with nothing published.
pub(super) fn native_between_two_programs() -> Result<String> {
    let mut peer = fast_path()?;
    peer.attach(&find(CLIENT_END)?, Mode::Native)?;
    attach(&mut fast_path()?, SERVER_END, Mode::Auto, XdpMode::Native)
}

pub(super) fn generic_where_the_peer_has_none() -> Result<String> {
    attach(&mut fast_path()?, SERVER_END, Mode::Generic, XdpMode::Generic)
}

pub(super) fn native_on_the_card() -> Result<String> {
    attach(&mut fast_path()?, CARD, Mode::Native, XdpMode::Native)
}
