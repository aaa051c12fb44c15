//! adjtimex(2), read only: whether something keeps the wall clock right. Must not set anything.
#![expect(unsafe_code, reason = "neither std nor nix wraps adjtimex(2)")]

use std::io;

/// Whether the kernel counts the wall clock as synchronised (STA_UNSYNC is not set).
///
/// # Errors
/// The call's own, for instance EPERM in a sandbox that forbids it.
pub fn wall_clock_synchronised() -> io::Result<bool> {
    // SAFETY: `timex` is integers alone, for which all-zero bytes are a value.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole, writable `timex`, and the kernel keeps it no longer than the call;
    // `modes` 0 asks for nothing to be changed.
    let clock_state = unsafe { libc::adjtimex(&raw mut timex) };
    if clock_state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(timex.status & libc::STA_UNSYNC == 0)
}
