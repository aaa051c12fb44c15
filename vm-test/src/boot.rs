//! From a bare kernel to a machine that programs can live in, and its end. Owns mounts, modules and power; it
//! must not check anything.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    errno::Errno,
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        termios::tcdrain,
    },
};

use crate::{checks, network};

const MOUNTS: &[(&str, &str)] =
    &[("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys"), ("bpf", "/sys/fs/bpf"), ("tmpfs", "/run")];

/// Where the initramfs has the modules.
const MODULES: &str = "/modules";

/// `linux/module.h`: the kernel decompresses the module. (nix has no name for it.)
const MODULE_INIT_COMPRESSED_FILE: u32 = 4;

/// Mounts what there is to mount, loads every module, brings the interfaces up.
pub(crate) fn prepare() -> Result<String> {
    for (kind, at) in MOUNTS {
        fs::create_dir_all(at).with_context(|| format!("creating {at}"))?;
        match mount(Some(*kind), *at, Some(*kind), MsFlags::empty(), None::<&str>) {
            // CONFIG_DEVTMPFS_MOUNT was faster.
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(error) => bail!("mounting {kind} at {at}: {error}"),
        }
    }
    checks::keep_trace()?;
    let modules = load_modules()?;
    network::prepare()?;
    Ok(format!("{modules} modules"))
}

/// Loads the modules in whatever order works: those that need others fail until these are there.
fn load_modules() -> Result<usize> {
    let mut left = fs::read_dir(MODULES)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let count = left.len();
    while !left.is_empty() {
        let before = left.len();
        let mut refusals = Vec::new();
        left.retain(|module| match load_module(module) {
            Ok(()) => false,
            Err(error) => {
                refusals.push(format!("{}: {error}", module.display()));
                true
            }
        });
        if left.len() == before {
            bail!("modules do not load: {}", refusals.join(", "));
        }
    }
    Ok(count)
}

fn load_module(module: &Path) -> Result<()> {
    let plain = module.extension().is_some_and(|extension| extension == "ko");
    let flags = if plain { 0 } else { MODULE_INIT_COMPRESSED_FILE };
    let file = File::open(module)?;
    match finit_module(&file, c"", ModuleInitFlags::from_bits_retain(flags)) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Switches the machine off, once the console has sent everything.
pub(crate) fn power_off() {
    if let Err(error) = tcdrain(io::stdout()) {
        eprintln!("draining the console: {error}");
    }
    let Err(error) = reboot(RebootMode::RB_POWER_OFF);
    eprintln!("switching off: {error}");
}
