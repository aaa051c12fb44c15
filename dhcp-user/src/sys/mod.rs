//! The unsafe rooms of user space: each wraps one corner of the kernel's interface in safe functions, and
//! decides nothing.

#[cfg(test)]
pub(crate) mod testnet;
