//! The XDP program: entry, maps and helpers, and the only unsafe room of the kernel side. It decides nothing:
//! packet ▶ `wire` ▶ `decide` ▶ `reply` are the library's.
//!
//! Order: copy the datagram ▶ decide ▶ write the reply beside the packet ▶ fit the frame ▶ extend the lease ▶
//! put the reply in place ▶ XDP_TX. Until the frame is fitted the packet is untouched, and whatever fails
//! passes it on as it came.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod program;

/// On the host there is nothing to run: this lets `cargo build`, `test` and `clippy` take the whole workspace.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
