//! The kernels: which there are, and where their parts stand in the unpacked packages. It must not install any.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::packages;
use crate::{apt, shell};

/// Those that are tested, the oldest first.
pub(super) const SERIES: [&str; 2] = ["6.1", "6.12"];

/// What the checks need that is no part of the kernel proper. 6.1 has most of virtio in modules, too.
const MODULES: [&str; 9] = [
    "virtio",
    "virtio_ring",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
    "veth",
];

/// An unpacked kernel.
pub(super) struct Kernel {
    /// What `uname -r` says.
    pub(super) release: String,
    dir: PathBuf,
}

impl Kernel {
    /// What QEMU boots.
    pub(super) fn image(&self) -> PathBuf {
        self.dir.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// Those of [`MODULES`] that are files.
    pub(super) fn modules(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        find_modules(&self.dir, &mut found)?;
        // Built in is the other possibility for all but this one.
        ensure!(!found.is_empty(), "{} has no modules", self.dir.display());
        Ok(found)
    }
}

fn find_modules(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            find_modules(&entry.path(), found)?;
        } else if name.split_once(".ko").is_some_and(|(module, _)| MODULES.contains(&module)) {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// The newest kernel of a series.
pub(super) fn fetch(series: &str) -> Result<Kernel> {
    if newest(series)?.is_none() {
        apt::update()?;
    }
    match newest(series)? {
        Some(package) => unpack(&package),
        None => bail!("this machine's package sources have no cloud kernel {series} for amd64"),
    }
}

/// The newest kernel of each series that the package sources have; says which they lack.
pub(super) fn fetch_all() -> Result<Vec<Kernel>> {
    let mut packages = newest_of_each()?;
    if packages.is_empty() {
        apt::update()?;
        packages = newest_of_each()?;
    }
    ensure!(
        !packages.is_empty(),
        "this machine's package sources have no cloud kernel {} for amd64",
        SERIES.join(" or ")
    );
    packages.iter().map(|package| unpack(package)).collect()
}

fn newest_of_each() -> Result<Vec<String>> {
    let mut packages = Vec::new();
    for series in SERIES {
        match newest(series)? {
            Some(package) => packages.push(package),
            None => shell::step(&format!("the package sources have no kernel {series}: it is not tested")),
        }
    }
    Ok(packages)
}

fn newest(series: &str) -> Result<Option<String>> {
    // Neither the debugging symbols nor the unsigned twins end so.
    let pattern = format!(r"^linux-image-{}\.[0-9].*-cloud-amd64$", series.replace('.', r"\."));
    Ok(packages::matching(&pattern)?.into_iter().max_by_key(|package| numbers(package)))
}

fn unpack(package: &str) -> Result<Kernel> {
    let release = package.trim_start_matches("linux-image-").to_owned();
    let dir = packages::unpacked(&release, &[package.to_owned()])?;
    Ok(Kernel { release, dir })
}

/// The numbers in a name, by which its versions sort.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_sort_by_their_numbers() {
        assert!(numbers("linux-image-6.1.0-56-cloud") > numbers("linux-image-6.1.0-9-cloud"));
        assert!(numbers("linux-image-6.12.117+deb12-cloud") > numbers("linux-image-6.12.99+deb12-cloud"));
    }
}
