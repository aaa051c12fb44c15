//! The daemon's rooms.

