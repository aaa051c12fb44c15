//! `cargo xtask run`: from nothing to a serving daemon.

use std::{ffi::OsString, os::unix::process::CommandExt as _, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::{
    compile::{self, Profile},
    setup, shell,
};

/// What `run` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The interface to serve
    #[arg(long, value_name = "IFACE")]
    iface: String,
    /// Arguments of `dhcp-user serve`
    #[arg(last = true)]
    daemon: Vec<OsString>,
}

/// Sets up, builds, and becomes the daemon: signals reach it directly, and its exit code is this command's.
pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(
        Path::new("/sys/class/net").join(&args.iface).exists(),
        "there is no interface {}; see: ip link",
        args.iface
    );
    setup::for_build()?;
    let daemon = compile::daemon(Profile::Release)?;
    let daemon = daemon.to_str().context("the path of the target directory is not UTF-8")?;
    shell::step(&format!("dhcp-user serve --iface {}", args.iface));
    let mut serve = shell::root_command(daemon)?;
    let error = serve.args(["serve", "--iface", &args.iface]).args(&args.daemon).exec();
    Err(error).with_context(|| format!("cannot start {}", serve.get_program().display()))
}
