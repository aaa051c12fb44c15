//! What can go wrong with the fast path, in words that say what to do.

use crate::interface::XdpMode;
use aya::{EbpfError, maps::MapError, programs::ProgramError};
use std::{error::Error, io, net::Ipv4Addr};

/// The fast path could not do something. What is not published is served by user space.
#[derive(Debug, thiserror::Error)]
pub enum FastPathError {
    /// The process may not use BPF.
    #[error(
        "the kernel does not let this process use BPF; run it as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    NotPermitted,
    /// The kernel did not take the maps or the program.
    #[error("the fast path cannot be loaded: {0}")]
    Load(String),
    /// The verifier refused the program; its log is in the daemon's log at level debug.
    #[error("the kernel's verifier refuses the fast path: {0}")]
    Refused(String),
    /// There is no way to wait for running programs, without which no lease could ever be closed.
    #[error(
        "this kernel does not offer membarrier(MEMBARRIER_CMD_GLOBAL), which the fast path needs to close leases; boot without nohz_full"
    )]
    NoGrace,
    /// The interface carries a program of someone else's.
    #[error(
        "{interface} already carries an XDP program (id {program}, {mode}), which is not replaced; see what it is with `bpftool prog show id {program}`, and detach it with `ip link set dev {interface} xdp off` or end the process that holds it"
    )]
    Foreign {
        /// The interface.
        interface: String,
        /// The program's id.
        program: u32,
        /// Where it runs.
        mode: XdpMode,
    },
    /// The interface did not take the program.
    #[error("{interface} does not take the fast path: {why}")]
    Attach {
        /// The interface.
        interface: String,
        /// The driver's and the kernel's words.
        why: String,
    },
    /// Every slot is taken.
    #[error("all {slots} slots of the fast path hold leases")]
    Full {
        /// How many there are.
        slots: u32,
    },
    /// The slot is not what the caller takes it for.
    #[error("slot {slot} does not hold {address}, closed")]
    NotClosed {
        /// The slot.
        slot: u32,
        /// The address.
        address: Ipv4Addr,
    },
    /// The kernel refused an access to a map.
    #[error("map {map}: {}", chain(.source))]
    Map {
        /// The map's name.
        map: &'static str,
        /// What aya says.
        source: MapError,
    },
}

impl FastPathError {
    /// For an error of the map called `map`.
    pub(super) fn map(map: &'static str) -> impl FnOnce(MapError) -> Self {
        move |source| Self::Map { map, source }
    }
}

impl From<EbpfError> for FastPathError {
    fn from(error: EbpfError) -> Self {
        if is_about_permission(&error) { Self::NotPermitted } else { Self::Load(chain(&error)) }
    }
}

impl From<ProgramError> for FastPathError {
    fn from(error: ProgramError) -> Self {
        match &error {
            _ if is_about_permission(&error) => Self::NotPermitted,
            ProgramError::LoadError { io_error, verifier_log } => {
                let log = verifier_log.to_string();
                tracing::debug!(%log, "the verifier's log");
                // Statistics follow the verdict.
                let verdict = log.lines().rev().find(|line| !is_statistics(line)).unwrap_or_default();
                Self::Refused(format!("{verdict} ({io_error})"))
            }
            _ => Self::Load(chain(&error)),
        }
    }
}

fn is_statistics(line: &str) -> bool {
    const STATISTICS: [&str; 4] = ["processed ", "verification time ", "stack depth ", "insns_"];
    line.trim().is_empty() || STATISTICS.iter().any(|start| line.starts_with(start))
}

/// Whether a map's system call failed in this way. (aya has names of its own only for lookups that find nothing.)
pub(super) fn is(error: &MapError, kind: io::ErrorKind) -> bool {
    let MapError::SyscallError(error) = error else { return false };
    error.io_error.kind() == kind
}

/// An error and its causes, each said once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.ends_with(&text) {
            words = format!("{words}: {text}");
        }
        cause = error.source();
    }
    words
}

/// Whether the kernel said EPERM. The verifier says EACCES for programs that it refuses.
fn is_about_permission(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.raw_os_error() == Some(libc::EPERM)) {
            return true;
        }
        cause = error.source();
    }
    false
}
