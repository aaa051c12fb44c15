//! Finds what building and testing need, and installs what is missing. The tables here are the only list of it.
//!
//! It looks before it installs, so that it costs nothing where all is there. As root it installs by itself, else
//! by sudo; what belongs to the user (cargo's own programs) is always built as the user.

use std::{env, path::Path};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    apt,
    bpf_toolchain::{self, BpfToolchain, CHOICE, DEBIAN},
    shell,
};

/// The linker's version, the one that the pinned aya was tried with.
const BPF_LINKER: &str = "0.13.0";

/// Something that a machine must have.
struct Need {
    /// What it is, and what it is for.
    what: &'static str,
    /// Whether it is there.
    found: fn() -> bool,
    /// The Debian packages that bring it.
    packages: &'static [&'static str],
}

/// What every build needs, but for the BPF linker, which is built once these are there.
const BUILD: &[Need] = &[
    Need {
        what: "a C compiler and libc's headers, for the bundled SQLite",
        found: || shell::find("cc").is_some() && Path::new("/usr/include/stdio.h").is_file(),
        packages: &["gcc", "libc6-dev"],
    },
    Need {
        what: "a Rust toolchain for BPF, for the XDP program",
        found: || bpf_toolchain::find().is_some(),
        packages: &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
    },
];

/// What the tests need beyond that.
const TEST: &[Need] = &[
    Need {
        what: "clippy of the BPF toolchain",
        found: || bpf_toolchain::find().is_some_and(|toolchain| has_clippy(&toolchain)),
        packages: &["rust-web-clippy"],
    },
    Need {
        what: "ip, for the network namespaces of the tests",
        found: || shell::find("ip").is_some(),
        packages: &["iproute2"],
    },
    Need {
        what: "dhclient, a client that the tests lease to",
        found: || shell::find("dhclient").is_some(),
        packages: &["isc-dhcp-client"],
    },
    Need {
        what: "udhcpc, a client that the tests lease to",
        found: || shell::find("udhcpc").is_some(),
        packages: &["udhcpc"],
    },
    Need {
        what: "dhcpcd, a client that the tests lease to",
        found: || shell::find("dhcpcd").is_some(),
        packages: &["dhcpcd-base"],
    },
];

/// Sees to everything, and says so.
pub(crate) fn run() -> Result<()> {
    for_tests()?;
    println!("set up: nothing is missing for building and testing");
    Ok(())
}

/// Sees to what a build needs.
pub(crate) fn for_build() -> Result<()> {
    check_rustup()?;
    provide(BUILD.iter())?;
    provide_linker()
}

/// Sees to what a build and the tests need.
pub(crate) fn for_tests() -> Result<()> {
    check_rustup()?;
    check_components()?;
    provide(BUILD.iter().chain(TEST))?;
    provide_linker()
}

/// rustup is the one thing that has to be there, and a toolchain that someone chose has to be whole.
fn check_rustup() -> Result<()> {
    ensure!(
        shell::find("rustup").is_some(),
        "no rustup here: two toolchains are needed, so install it first"
    );
    let Ok(name) = env::var(CHOICE) else { return Ok(()) };
    ensure!(
        name == DEBIAN || bpf_toolchain::find().is_some(),
        "{CHOICE}={name} cannot build for BPF; unset it, or run: rustup toolchain install {name} --component rust-src"
    );
    Ok(())
}

/// rustup's own components are the user's to add.
fn check_components() -> Result<()> {
    let has = |command: &str| shell::succeeds(shell::command("cargo").args([command, "--version"]));
    ensure!(
        has("clippy") && has("fmt"),
        "clippy or rustfmt is missing; run: rustup component add clippy rustfmt"
    );
    match bpf_toolchain::find() {
        Some(toolchain) if toolchain.name != DEBIAN && !has_clippy(&toolchain) => {
            bail!("clippy is missing; run: rustup component add clippy --toolchain {}", toolchain.name)
        }
        _ => Ok(()),
    }
}

/// Installs what is missing, all packages at once.
fn provide<'a>(needs: impl Iterator<Item = &'a Need>) -> Result<()> {
    let missing: Vec<&Need> = needs.filter(|need| !(need.found)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        shell::step(&format!("missing: {}", need.what));
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    ensure!(
        apt::is_there(),
        "no apt-get here: install what is missing by other means, then run this again (Debian's packages are {}; \
         for BPF this does as well: rustup toolchain install nightly --component rust-src,clippy)",
        packages.join(" ")
    );
    apt::install(&packages)?;
    match missing.iter().find(|need| !(need.found)()) {
        Some(need) => bail!("still missing with {} installed: {}", need.packages.join(" "), need.what),
        None => Ok(()),
    }
}

/// Builds the BPF linker where it is missing, against the LLVM of the toolchain that will call it: it reads that
/// compiler's bitcode.
fn provide_linker() -> Result<()> {
    if bpf_toolchain::linker().is_some() {
        return Ok(());
    }
    let llvm = llvm_version()?;
    let prefix = format!("/usr/lib/llvm-{llvm}");
    let has_llvm = || Path::new(&prefix).join("bin/llvm-config").is_file();
    let package = format!("llvm-{llvm}-dev");
    if !has_llvm() && apt::is_there() && apt::knows(&package) {
        apt::install(&[&package])?;
    }

    let mut install = shell::command("cargo");
    install.args(["install", "bpf-linker", "--locked", "--version", BPF_LINKER]);
    if has_llvm() {
        install.env("LLVM_PREFIX", &prefix);
        install.args(["--no-default-features", "--features", &format!("llvm-{llvm}")]);
    }
    shell::quiet(&format!("building bpf-linker {BPF_LINKER} (a minute or two)"), &mut install)
        .with_context(|| format!("bpf-linker needs LLVM {llvm} with its headers (Debian: {package})"))
}

/// The major version of the LLVM inside the BPF toolchain's compiler.
fn llvm_version() -> Result<u32> {
    let toolchain = bpf_toolchain::find().context("no Rust toolchain for BPF")?;
    let about = bpf_toolchain::ask(&toolchain.name, &["-vV"]).unwrap_or_default();
    let version = about.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let major = version.and_then(|version| version.split('.').next()?.parse().ok());
    major.with_context(|| format!("the toolchain `{}` does not say which LLVM it has", toolchain.name))
}

fn has_clippy(toolchain: &BpfToolchain) -> bool {
    shell::succeeds(shell::command("rustup").args(["run", &toolchain.name, "cargo", "clippy", "--version"]))
}
