//! The daemon's rooms.

pub mod allocator;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod fastpath;
pub mod identity;
pub mod interface;
pub mod protocol;
pub mod server;
pub mod sockets;
pub mod store;
pub mod sys;
