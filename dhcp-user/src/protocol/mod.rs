//! The slow path's words: a frame becomes a [`Request`], a decision becomes a reply frame. Both go through the
//! wire views and the reply writer that the kernel uses. Pure: must not do I/O, read a clock or know a lease.

mod arrival;
pub mod options;
mod refusal;
pub mod reply;
pub mod request;

pub use refusal::Refusal;
pub use reply::{Kind, Made, Replies};
pub use request::{MessageType, Request, State};

#[cfg(test)]
mod tests;
