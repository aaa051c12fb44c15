//! The daemon's rooms.

pub mod allocator;
pub mod clock;
pub mod identity;
pub mod store;
pub mod sys;
