//! `cargo xtask build`: the daemon, with the XDP program in it (`dhcp-user/build.rs` builds that).

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{setup, shell};

/// What `build` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build with optimisation, as `run` does
    #[arg(long)]
    release: bool,
}

/// How a host program is built. The XDP program is optimised in both.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// Sets up, builds, and says where the daemon is.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::for_build()?;
    let daemon = daemon(if args.release { Profile::Release } else { Profile::Dev })?;
    println!("built {}", daemon.display());
    Ok(())
}

/// Builds the daemon and returns its path.
pub(crate) fn daemon(profile: Profile) -> Result<PathBuf> {
    let mut build = shell::command("cargo");
    build.args(["build", "--package", "dhcp-user"]);
    let dir = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            build.arg("--release");
            "release"
        }
    };
    shell::show("building dhcp-user", &mut build)?;
    let daemon = shell::target_dir()?.join(dir).join("dhcp-user");
    daemon.canonicalize().with_context(|| format!("cargo built no {}", daemon.display()))
}
