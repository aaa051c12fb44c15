//! System calls that no safe crate offers: the only room of user space with `unsafe` in it. Each file wraps one
//! of them behind a safe function; it must not decide anything.

pub mod timex;
