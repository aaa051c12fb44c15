//! Socket options that neither socket2 nor nix has.

#![expect(unsafe_code, reason = "getsockopt(2) and setsockopt(2) take pointers")]

use libc::{c_int, socklen_t};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

/// How many words SO_MEMINFO has, and which of them counts drops (`linux/sock_diag.h`).
const SK_MEMINFO_VARS: usize = 9;
const SK_MEMINFO_DROPS: usize = 8;

/// How many packets the kernel has dropped at a socket since it was opened, a filter's refusals included; the
/// count wraps.
pub fn drops(socket: &impl AsFd) -> io::Result<u32> {
    let words: [u32; SK_MEMINFO_VARS] = words(socket.as_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO)?;
    Ok(words[SK_MEMINFO_DROPS])
}

/// Reads an option whose value is `N` 32-bit words; those that the kernel does not write are 0.
pub(super) fn words<const N: usize>(
    socket: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
) -> io::Result<[u32; N]> {
    let mut words = [0_u32; N];
    let mut len = size_of_val(&words) as socklen_t;
    // SAFETY: the kernel writes at most `len` octets, which is the size of `words`, and any octets are valid words.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, words.as_mut_ptr().cast(), &raw mut len)
    };
    if result == 0 { Ok(words) } else { Err(io::Error::last_os_error()) }
}

/// Sets an option whose value is an integer.
pub(super) fn set(socket: BorrowedFd<'_>, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the kernel reads as many octets as `value` has.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
