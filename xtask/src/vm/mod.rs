//! `cargo xtask vm`: other kernels, in QEMU. One file a concern; this one owns the order.
//!
//! Nothing is installed: the kernels must not be, and QEMU need not be. `vm-test` is what runs in the guest.

mod guest;
mod initramfs;
mod kernel;
mod packages;
#[path = "../../../vm-test/src/report.rs"]
mod report;

use std::{fs, path::PathBuf, time::Instant};

use anyhow::{Context as _, Result, ensure};

use crate::{setup, shell};
use kernel::Kernel;

/// What `vm` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Boot other kernels and check the fast path on each
    Test {
        /// This series only; without it, every one of these that the package sources have
        #[arg(long, value_parser = kernel::SERIES)]
        kernel: Option<String>,
    },
}

/// Does what is asked.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Command::Test { kernel } = &args.command;
    test(kernel.as_deref())
}

/// Fetches the kernels and boots each, to the end even where one fails.
fn test(series: Option<&str>) -> Result<()> {
    ensure!(cfg!(target_arch = "x86_64"), "the guests are x86-64 machines, and this is another");
    setup::for_build()?;
    let kernels = match series {
        Some(series) => vec![kernel::fetch(series)?],
        None => kernel::fetch_all()?,
    };
    let qemu = guest::Qemu::find()?;
    let init = build_init()?;
    let mut passed = Vec::new();
    let mut failed = Vec::new();
    for kernel in &kernels {
        match boot(&qemu, kernel, &init) {
            Ok(checks) => passed.push(format!("{}: {checks} checks", kernel.release)),
            Err(error) => {
                println!("{error:#}");
                failed.push(kernel.release.as_str());
            }
        }
    }
    ensure!(failed.is_empty(), "failed on {}", failed.join(", "));
    println!("all passed on {}", passed.join("; on "));
    Ok(())
}

/// Boots a kernel and returns how many checks passed; any that did not is an error.
fn boot(qemu: &guest::Qemu, kernel: &Kernel, init: &[u8]) -> Result<u32> {
    let archive = initramfs::pack(init, &kernel.modules()?)?;
    let initrd = packages::cache()?.join(&kernel.release).with_extension("initramfs");
    fs::write(&initrd, archive).with_context(|| format!("writing {}", initrd.display()))?;
    shell::step(&format!("booting {}", kernel.release));
    let started = Instant::now();
    let checks = qemu.boot(kernel, &initrd)?;
    println!("    {checks} checks passed in {} s", started.elapsed().as_secs());
    Ok(checks)
}

/// Builds the guest's one program, static. It has a target directory of its own: other flags would otherwise
/// rebuild everything each time.
fn build_init() -> Result<Vec<u8>> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    let dir: PathBuf = packages::cache()?.join("build");
    let mut build = shell::command("cargo");
    // A named target, so that the flags are not those of build scripts and macros.
    build.args(["build", "--release", "--package", "vm-test", "--target", TARGET, "--target-dir"]).arg(&dir);
    build.env("RUSTFLAGS", "-C target-feature=+crt-static").env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    shell::show("building vm-test, static (minutes for the first time)", &mut build)?;
    let init = dir.join(TARGET).join("release/vm-test");
    fs::read(&init).with_context(|| format!("cargo built no {}", init.display()))
}
