//! The XDP program's host stub.
fn main() {}
