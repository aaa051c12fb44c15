//! The daemon's rooms.

pub mod cli;
pub mod config;
pub mod control;
pub mod interface;
pub mod sockets;
pub mod sys;
