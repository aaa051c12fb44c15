//! membarrier(2): waiting until no BPF program that was already running still runs. Must not know why one waits.

#![expect(unsafe_code, reason = "neither std nor nix wraps membarrier(2)")]

use libc::{c_int, c_long};
use std::io;

/// `linux/membarrier.h`
const MEMBARRIER_CMD_QUERY: c_int = 0;
const MEMBARRIER_CMD_GLOBAL: c_int = 1 << 0;

/// Waits for a grace: when this returns, every BPF program that ran when it was called has ended, on every CPU
/// (the kernel answers the command by `synchronize_rcu`). Blocks for some ten milliseconds.
///
/// # Errors
/// EINVAL where the kernel refuses it, see [`is_supported`].
pub fn global() -> io::Result<()> {
    membarrier(MEMBARRIER_CMD_GLOBAL).map(|_| ())
}

/// Whether [`global`] works on this kernel: not without CONFIG_MEMBARRIER, and not with `nohz_full` CPUs.
///
/// # Errors
/// ENOSYS, or what a sandbox answers.
pub fn is_supported() -> io::Result<bool> {
    Ok(membarrier(MEMBARRIER_CMD_QUERY)? & c_long::from(MEMBARRIER_CMD_GLOBAL) != 0)
}

fn membarrier(command: c_int) -> io::Result<c_long> {
    const FLAGS: c_int = 0;
    // SAFETY: the call takes integers alone and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, command, FLAGS) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_has_a_grace() {
        assert!(is_supported().unwrap());
        global().unwrap();
    }
}
