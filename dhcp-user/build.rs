//! Builds the XDP program for BPF and leaves the object in `OUT_DIR` under the name `dhcp-ebpf`.
//!
//! It decides nothing about the program: `dhcp-ebpf` and the workspace's profiles do. What is missing on a
//! machine it only names; `cargo xtask setup` installs it.

#[path = "../xtask/src/bpf_toolchain.rs"]
mod bpf_toolchain;

use std::{
    env,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail, ensure};
use aya_build::{Package, Toolchain};
use bpf_toolchain::BpfToolchain;

/// Set where this program has started itself: the name of the toolchain to build with.
const TOOLCHAIN: &str = "DHCP_EBPF_BUILD_WITH";

fn main() -> ExitCode {
    let outcome = match env::var(TOOLCHAIN) {
        Ok(toolchain) => build(&toolchain),
        Err(_) => prepare(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Finds the tools and starts this program again in the environment that the inner cargo shall see. aya-build
/// hands its own environment on, and a process can change its own only by `unsafe`.
fn prepare() -> Result<()> {
    println!("cargo::rerun-if-env-changed={}", bpf_toolchain::CHOICE);
    // The profile and the lints of the BPF side, and the versions of what it is made of.
    println!("cargo::rerun-if-changed=../Cargo.toml");
    println!("cargo::rerun-if-changed=../Cargo.lock");

    let toolchain = tools()?;
    let mut inner = Command::new(env::current_exe().context("this build script's own path")?);
    inner.env(TOOLCHAIN, &toolchain.name).env("PATH", bpf_toolchain::search_path());
    // aya-build turns each line of the inner cargo's progress into a warning; errors it shows all the same.
    inner.env("CARGO_TERM_QUIET", "true");
    if let Some(bootstrap) = toolchain.bootstrap {
        inner.env("RUSTC_BOOTSTRAP", bootstrap);
    }
    let status = inner.status().context("starting this build script again")?;
    ensure!(status.success(), "the XDP program was not built with the toolchain `{}`", toolchain.name);
    Ok(())
}

/// The toolchain, where the linker is there too.
fn tools() -> Result<BpfToolchain> {
    let Some(toolchain) = bpf_toolchain::find() else {
        bail!(
            "no Rust toolchain for BPF (neither a built `core` for {} nor rust-src in {}); run: cargo xtask setup",
            bpf_toolchain::TARGET,
            bpf_toolchain::candidates().join(", "),
        );
    };
    if bpf_toolchain::linker().is_none() {
        bail!("no bpf-linker on PATH or in cargo's bin directory; run: cargo xtask setup");
    }
    Ok(toolchain)
}

/// Builds the program with the environment as it is.
fn build(toolchain: &str) -> Result<()> {
    // Relative to this package, so that it is this checkout's also where several share a target directory.
    let package = Package { name: "dhcp-ebpf", root_dir: "../dhcp-ebpf", ..Package::default() };
    aya_build::build_ebpf([package], Toolchain::Custom(toolchain))
}
