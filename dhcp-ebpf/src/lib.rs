//! The packet logic of both paths, in plain `no_std` Rust without `unsafe`: the XDP program, the user-space
//! slow path, the host's unit tests and `BPF_PROG_TEST_RUN` all run these functions.
//!
//! packet ▶ view ([`wire`]) ▶ decision ([`decide`]) ▶ reply ([`reply`]).
//!
//! It must not know aya, maps or the kernel, and must not index a slice: the panic path that an index brings
//! is refused by the verifier, so every access is a `.get()` with a bound that it can follow.
#![no_std]
#![deny(clippy::indexing_slicing, reason = "the verifier rejects the panic path of an index")]

pub mod abi;
mod arrival;
pub mod checksum;
pub mod decide;
pub mod reason;
pub mod reply;
pub mod shape;
pub mod wire;

#[cfg(test)]
extern crate std;
