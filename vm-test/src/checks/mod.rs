//! What is checked on every kernel. Owns the list; each check stands alone, loads what it needs, and says what it
//! found.

mod answer;
mod attach;
mod load;

use anyhow::{Result, ensure};
use dhcp_user::sys::membarrier;
use std::time::Instant;

pub(crate) use load::keep_trace;

/// A check: what it found, or what was wrong.
type Check = fn() -> Result<String>;

/// Every check, in the order in which they run.
pub(crate) const ALL: &[(&str, Check)] = &[
    ("kernel", kernel),
    ("grace", grace),
    ("load", load::verifier_takes_the_program),
    ("answer", answer::renewal_is_answered_in_a_longer_frame),
    ("pass", answer::what_is_not_decided_passes_untouched),
    ("full", answer::full_map_refuses),
    ("veth-native", attach::native_between_two_programs),
    ("veth-generic", attach::generic_where_the_peer_has_none),
    ("virtio-native", attach::native_on_the_card),
];

fn kernel() -> Result<String> {
    let name = nix::sys::utsname::uname()?;
    Ok(name.release().to_string_lossy().into_owned())
}

/// DESIGN, durability: a lease closes only after a grace.
fn grace() -> Result<String> {
    ensure!(membarrier::is_supported()?, "no membarrier(MEMBARRIER_CMD_GLOBAL)");
    let started = Instant::now();
    membarrier::global()?;
    Ok(format!("membarrier took {} ms", started.elapsed().as_millis()))
}
