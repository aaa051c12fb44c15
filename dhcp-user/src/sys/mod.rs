//! System calls that no safe crate offers: the only room of user space with `unsafe` in it. Each file wraps one
//! corner of the kernel's interface in safe functions; it must not decide anything.

pub mod maps;
pub mod membarrier;
pub mod packet;
pub mod sockopt;
pub mod timex;

#[cfg(test)]
pub(crate) mod testnet;
