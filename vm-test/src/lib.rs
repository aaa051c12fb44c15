//! What runs in the guest of `cargo xtask vm test`, as its first and only process: it makes the guest usable
//! ([`boot`]), runs the list of [`checks`], reports each on the console ([`report`]) and switches the guest off.
//!
//! It must not need anything that is not in the initramfs: the program is static, and there are no other ones.

mod boot;
mod checks;
mod network;
mod report;

use report::Line;

/// Runs everything and switches the machine off. A panic here is one of the kernel's, which ends QEMU as well.
pub fn run() {
    let (mut checks, mut failed) = (0, 0);
    let mut check = |name: &str, run: fn() -> anyhow::Result<String>| {
        let outcome = run();
        let passed = outcome.is_ok();
        let said = outcome.unwrap_or_else(|error| format!("{error:#}"));
        println!("{}", Line::Check { name: name.to_owned(), passed, said });
        checks += 1;
        failed += u32::from(!passed);
        passed
    };
    if check("boot", boot::prepare) {
        for (name, run) in checks::ALL {
            check(name, *run);
        }
    }
    println!("{}", Line::End { checks, failed });
    boot::power_off();
}
