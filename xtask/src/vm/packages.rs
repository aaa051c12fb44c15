//! Debian packages that are fetched and unpacked but never installed: no root, no scripts, nothing removed. Owns
//! the cache; knows nothing of what is in the packages.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{apt, shell};

/// Every package of `$@` into the directory `root`.
const FETCH: &str = r#"
apt-get download "$@"
for package in *.deb; do
    dpkg --extract "$package" root
done
"#;

/// Where everything of `vm` is kept.
pub(super) fn cache() -> Result<PathBuf> {
    let dir = shell::target_dir()?.join("xtask/vm");
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    Ok(dir)
}

/// The directory that holds `packages` (names, or `name=version`) unpacked; `name` is the cache's name for it.
pub(super) fn unpacked(name: &str, packages: &[String]) -> Result<PathBuf> {
    let dir = cache()?.join(name);
    if dir.is_dir() {
        return Ok(dir);
    }
    let fresh = cache()?.join(format!("{name}.new"));
    if fetch(name, packages, &fresh).is_err() {
        // The lists may name files that are gone.
        apt::update()?;
        fetch(name, packages, &fresh)?;
    }
    // Only what is whole gets the name.
    fs::rename(fresh.join("root"), &dir).with_context(|| format!("creating {}", dir.display()))?;
    fs::remove_dir_all(&fresh).with_context(|| format!("removing {}", fresh.display()))?;
    Ok(dir)
}

fn fetch(name: &str, packages: &[String], dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    fs::create_dir_all(dir.join("root")).with_context(|| format!("creating {}", dir.display()))?;
    let mut fetch = shell::command("sh");
    fetch.args(["-euc", FETCH, "sh"]).args(packages).current_dir(dir);
    shell::quiet(&format!("fetching and unpacking {name}"), &mut fetch)
}

/// The packages whose names match a regular expression.
pub(super) fn matching(pattern: &str) -> Result<Vec<String>> {
    let said = ask("apt-cache", &["search", "--names-only", pattern])?;
    Ok(said.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// A package and those that it needs and that this machine lacks, each as `name=version`.
pub(super) fn with_dependencies(package: &str) -> Result<Vec<String>> {
    let said = ask("apt-get", &["install", "--simulate", "--no-install-recommends", package])?;
    let packages: Vec<String> = said.lines().filter_map(to_be_installed).collect();
    ensure!(!packages.is_empty(), "apt would install nothing for {package}");
    Ok(packages)
}

/// From a line of apt's simulation: `Inst NAME [OLD] (VERSION SUITE [ARCHITECTURE])`, without OLD for a new one.
fn to_be_installed(line: &str) -> Option<String> {
    let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
    let (_, versions) = rest.split_once('(')?;
    Some(format!("{name}={}", versions.split_whitespace().next()?))
}

fn ask(program: &str, args: &[&str]) -> Result<String> {
    ensure!(apt::is_there(), "no apt-get here: the kernels and QEMU come as Debian packages");
    let output = shell::command(program)
        .args(args)
        .env("LC_ALL", "C")
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", args.join(" "), words.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::to_be_installed;

    #[test]
    fn versions_are_found_in_what_apt_would_do() {
        let found = |line| to_be_installed(line).unwrap_or_default();
        assert_eq!(found("Inst seabios (1.16.2-1 Debian:12.15/oldstable [all])"), "seabios=1.16.2-1");
        assert_eq!(found("Inst libc6 [2.36-8] (2.36-9 Debian:12 [amd64]) []"), "libc6=2.36-9");
        assert_eq!(found("Remv qemu-utils [1:10.0.2]"), "");
    }
}
