//! The daemon's rooms.

pub mod config;
pub mod interface;
pub mod sys;
