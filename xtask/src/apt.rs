//! Installs Debian packages. Nothing that it installs starts a daemon.

use anyhow::{Result, ensure};

use crate::shell;

/// `policy-rc.d` is what a package's scripts ask before they start a daemon: 101 forbids it. One that is there
/// already stays as it is. A package that could only come by removing another does not come.
const INSTALL: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install --yes --no-install-recommends --no-remove -o DPkg::Lock::Timeout=120 "$@"
"#;

/// Whether this machine has apt.
pub(crate) fn is_there() -> bool {
    shell::find("apt-get").is_some()
}

/// Whether apt's lists have a package.
pub(crate) fn knows(package: &str) -> bool {
    shell::succeeds(shell::command("apt-cache").args(["show", "--quiet=2", package]))
}

/// Fetches apt's lists.
pub(crate) fn update() -> Result<()> {
    let mut update = shell::root_command("apt-get")?;
    shell::quiet("fetching the package lists", update.args(["update", "-o", "DPkg::Lock::Timeout=120"]))
}

/// Installs packages, with newer lists where the ones that are there lack a package or name files that are gone.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let mut fresh = false;
    if !packages.iter().all(|package| knows(package)) {
        update()?;
        fresh = true;
    }
    for package in packages {
        ensure!(
            knows(package),
            "this machine's package sources have no {package}: add Debian 12 (with security) or newer to them, \
             or install it by other means"
        );
    }
    let tried = install_known(packages);
    if tried.is_ok() || fresh {
        return tried;
    }
    update()?;
    install_known(packages)
}

fn install_known(packages: &[&str]) -> Result<()> {
    let mut install = shell::root_command("sh")?;
    install.args(["-euc", INSTALL, "sh"]).args(packages);
    shell::quiet(&format!("installing {}", packages.join(" ")), &mut install)
}
