//! The guest's first file system, in the format that the kernel unpacks (`cpio`'s "newc"; the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst`). Owns the bytes; knows nothing of who reads them.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

/// An archive with the first process's program and the modules that it loads.
pub(super) fn pack(init: &[u8], modules: &[PathBuf]) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    append(&mut archive, "init", PROGRAM, init)?;
    append(&mut archive, "modules", DIRECTORY, &[])?;
    for module in modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        let contents = fs::read(module).with_context(|| format!("reading {}", module.display()))?;
        append(&mut archive, &format!("modules/{name}"), FILE, &contents)?;
    }
    append(&mut archive, "TRAILER!!!", 0, &[])?;
    Ok(archive)
}

/// Appends a file: header, name and contents, each padded to words. Hard links are what inode numbers are for, and
/// files with one link each need none.
fn append(archive: &mut Vec<u8>, name: &str, mode: u32, contents: &[u8]) -> Result<()> {
    let (size, name_size) = (u32::try_from(contents.len())?, u32::try_from(name.len() + 1)?);
    let [inode, owner, group, links, time, device, check] = [0, 0, 0, 1, 0, 0, 0];
    archive.extend(b"070701");
    for field in
        [inode, mode, owner, group, links, time, size, device, device, device, device, name_size, check]
    {
        archive.extend(format!("{field:08x}").bytes());
    }
    archive.extend(name.bytes());
    archive.push(0);
    pad(archive);
    archive.extend(contents);
    pad(archive);
    Ok(())
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_laid_out_as_the_kernel_reads_it() {
        let mut archive = Vec::new();
        append(&mut archive, "init", PROGRAM, b"12345").unwrap();
        let header = "070701000000000000 81ed00000000000000000000000100000000 00000005\
                      0000000000000000000000000000000000000005 00000000"
            .replace(' ', "");
        assert_eq!(header.len(), 110);
        assert_eq!(archive, [header.as_bytes(), b"init\0\0", b"12345\0\0\0"].concat());
    }
}
