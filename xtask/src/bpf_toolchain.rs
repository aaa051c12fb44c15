//! Which Rust toolchain and linker build the BPF side.
//!
//! Two programs hold this file, so that they never differ: `dhcp-user/build.rs`, which builds with what it
//! finds, and `xtask`, which installs what it does not find. It only looks; it must not install or build.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// What the XDP program is built for.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// The environment variable that names the one toolchain to use, as `rustup run` takes it.
pub(crate) const CHOICE: &str = "DHCP_EBPF_TOOLCHAIN";

/// Where Debian puts its toolchain: `rustup run` takes a path as a toolchain's name.
pub(crate) const DEBIAN: &str = "/usr";

/// The `RUSTC_BOOTSTRAP` of a stable toolchain with a built `core` for BPF: unstable features for aya-ebpf alone.
pub(crate) const CORE_IS_BUILT: &str = "aya_ebpf";

/// A toolchain that has `core` for BPF, or its source.
#[derive(Debug)]
pub(crate) struct BpfToolchain {
    /// Its name for `rustup run`.
    pub(crate) name: String,
    /// What `RUSTC_BOOTSTRAP` has to be for it; nothing for a nightly. Unless it is [`CORE_IS_BUILT`], `core` is
    /// built from its source.
    pub(crate) bootstrap: Option<&'static str>,
}

/// The toolchain that builds the BPF side, if there is one.
pub(crate) fn find() -> Option<BpfToolchain> {
    candidates().into_iter().find_map(inspect)
}

/// The names of the toolchains that are looked at, the preferred one first.
pub(crate) fn candidates() -> Vec<String> {
    match env::var(CHOICE) {
        Ok(name) => vec![name],
        Err(_) => vec!["nightly".to_owned(), DEBIAN.to_owned()],
    }
}

/// aya-ebpf uses unstable features. A nightly has them, but there is no `core` for BPF to install beside it, and
/// aya-build always builds `core` from source on that channel. Debian's stable compiler comes with a built `core`
/// and is told to let aya-ebpf have the features; `RUSTC_BOOTSTRAP=1` makes aya-build take the source there too.
fn inspect(name: String) -> Option<BpfToolchain> {
    let nightly = ask(&name, &["--version"])?.contains("-nightly");
    let rustlib = Path::new(&ask(&name, &["--print", "sysroot"])?).join("lib/rustlib");
    let built = rustlib.join(TARGET).join("lib").is_dir();
    let source = rustlib.join("src/rust/library/core/Cargo.toml").is_file();
    let bootstrap = match (nightly, built, source) {
        (true, _, true) => None,
        (false, true, _) => Some(CORE_IS_BUILT),
        (false, false, true) => Some("1"),
        _ => return None,
    };
    Some(BpfToolchain { name, bootstrap })
}

/// What `rustc ARGS` of a toolchain says, if that toolchain is there.
pub(crate) fn ask(toolchain: &str, args: &[&str]) -> Option<String> {
    let output = Command::new("rustup")
        .args(["run", toolchain, "rustc"])
        .args(args)
        .env("PATH", search_path())
        .env("RUSTUP_AUTO_INSTALL", "0")
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The linker that rustc calls for BPF, if it is there.
pub(crate) fn linker() -> Option<PathBuf> {
    env::split_paths(&search_path()).map(|dir| dir.join("bpf-linker")).find(|file| file.is_file())
}

/// `PATH` with cargo's own directory of programs at its end: a shell that has not read rustup's `env` lacks it.
pub(crate) fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let Some(home) = home.or_else(|| env::home_dir().map(|home| home.join(".cargo"))) else {
        return path;
    };
    let dirs = env::split_paths(&path).chain([home.join("bin")]);
    env::join_paths(dirs).unwrap_or(path)
}
