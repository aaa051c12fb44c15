//! The guest's first process. See the library.

use std::process::{self, ExitCode};

fn main() -> ExitCode {
    // It mounts, and it switches the machine off.
    if process::id() != 1 {
        eprintln!("this is the first process of a virtual machine; run: cargo xtask vm test");
        return ExitCode::FAILURE;
    }
    vm_test::run();
    ExitCode::SUCCESS
}
