//! Anonymous network namespaces, each with mounts of its own. Owns what a process inside sees of the network and
//! of the few directories that DHCP programs write to; must leave no name and no file on the host.

use std::{
    fs,
    fs::File,
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    process::Command,
    sync::Arc,
    thread,
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
};

use super::sys;

/// A directory of the namespace's own, empty at first, that vanishes with it.
pub const SCRATCH: &str = "/run/lab";

/// What DHCP programs write to, hidden behind empty directories in memory where the host has them.
const PRIVATE: [&str; 3] = ["/run", "/var/lib/dhcp", "/var/lib/dhcpcd"];

/// A network namespace with its own `/run`, `/sys` and bpffs. The kernel frees it with the last of this value
/// and of the processes inside; a clone is the same namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    net: Arc<OwnedFd>,
    mounts: Arc<OwnedFd>,
}

impl Namespace {
    /// A new namespace with nothing but a loopback interface, which is up.
    ///
    /// # Panics
    /// Without the privileges of root: a test that can't run fails.
    #[must_use]
    pub fn new() -> Self {
        let namespace = thread::spawn(Self::unshared)
            .join()
            .expect("no panic while unsharing")
            .expect("a namespace wants root (CAP_SYS_ADMIN) and sysfs, tmpfs and bpffs");
        namespace.ip("link set lo up");
        namespace
    }

    /// Takes the calling thread out of the host's namespaces and keeps those that it is in then.
    fn unshared() -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        let resolvers = fs::read("/etc/resolv.conf").unwrap_or_default();
        for directory in PRIVATE {
            if Path::new(directory).is_dir() {
                mount_new("tmpfs", directory)?;
            }
        }
        // A sysfs shows the interfaces of the namespace that it was mounted in.
        mount_new("sysfs", "/sys")?;
        mount_new("bpf", "/sys/fs/bpf")?;
        fs::create_dir(SCRATCH)?;
        let copy = Path::new(SCRATCH).join("resolv.conf");
        fs::write(&copy, resolvers)?;
        if Path::new("/etc/resolv.conf").is_file() {
            mount(Some(&copy), "/etc/resolv.conf", None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        }
        // IPv6's own chatter is nothing that these tests look at.
        let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        Ok(Self {
            net: Arc::new(File::open("/proc/thread-self/ns/net")?.into()),
            mounts: Arc::new(File::open("/proc/thread-self/ns/mnt")?.into()),
        })
    }

    /// A program that will run inside, in the directory `/`. It dies with the thread that spawns it: give what
    /// outlives a call to [`Process::spawn`](super::Process::spawn).
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        sys::enter_before_exec(&mut command, Arc::clone(&self.net), Arc::clone(&self.mounts));
        command
    }

    /// Runs a closure on a thread inside: sockets that it opens, and paths that it reads, are the namespace's.
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        let outcome = thread::scope(|scope| {
            scope
                .spawn(|| {
                    setns(&self.net, CloneFlags::CLONE_NEWNET).expect("entering a network namespace");
                    // A thread that shares its working directory with others can't change its mounts.
                    unshare(CloneFlags::CLONE_FS).expect("a working directory of its own");
                    setns(&self.mounts, CloneFlags::CLONE_NEWNS).expect("entering a mount namespace");
                    inside()
                })
                .join()
        });
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs `ip` with these words.
    ///
    /// # Panics
    /// If `ip` fails.
    pub fn ip(&self, words: &str) {
        let output = self.command("ip").args(words.split_whitespace()).output().expect("iproute2's ip");
        assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Writes a file as the namespace sees it.
    pub fn write(&self, path: &str, text: &str) {
        self.run(|| fs::write(path, text)).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Reads a file as the namespace sees it; `None` where there is none.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<String> {
        self.run(|| fs::read(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The index of an interface inside.
    ///
    /// # Panics
    /// Where there is no such interface.
    #[must_use]
    pub fn ifindex(&self, interface: &str) -> u32 {
        self.run(|| nix::net::if_::if_nametoindex(interface)).expect("an interface of that name")
    }

    /// The hardware address of an interface inside.
    ///
    /// # Panics
    /// Where there is no such interface.
    #[must_use]
    pub fn mac(&self, interface: &str) -> [u8; 6] {
        let text = self.read(&format!("/sys/class/net/{interface}/address")).expect("an interface");
        let mut octets =
            text.trim().split(':').map(|octet| u8::from_str_radix(octet, 16).expect("hexadecimal"));
        std::array::from_fn(|_| octets.next().expect("six octets"))
    }

    /// A path by which other programs, `ip` above all, find the network namespace.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.net.as_raw_fd())
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

fn mount_new(kind: &str, at: &str) -> io::Result<()> {
    mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)
        .map_err(|error| io::Error::other(format!("mounting {kind} at {at}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_interfaces_and_directories_of_its_own() {
        let (one, other) = (Namespace::new(), Namespace::new());
        one.ip("link add twin type veth peer name twin2");
        assert!(one.read("/sys/class/net/twin/address").is_some());
        assert!(other.read("/sys/class/net/twin/address").is_none());

        one.write("/run/lab/note", "here");
        assert_eq!(one.read("/run/lab/note").as_deref(), Some("here"));
        assert_eq!(other.read("/run/lab/note"), None);
        assert!(!Path::new("/run/lab").exists());
    }

    #[test]
    fn the_resolver_file_of_the_host_stays_as_it_is() {
        let before = fs::read("/etc/resolv.conf").ok();
        let namespace = Namespace::new();
        if before.is_some() {
            namespace.write("/etc/resolv.conf", "nameserver 192.0.2.53\n");
            assert_eq!(namespace.read("/etc/resolv.conf").as_deref(), Some("nameserver 192.0.2.53\n"));
        }
        assert_eq!(fs::read("/etc/resolv.conf").ok(), before);
    }
}
