//! vm-test
fn main() {}
