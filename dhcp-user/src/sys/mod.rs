//! The unsafe rooms of user space: each wraps one corner of the kernel's interface in safe functions, and
//! decides nothing.

pub mod packet;
pub mod sockopt;

#[cfg(test)]
pub(crate) mod testnet;
