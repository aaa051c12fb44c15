//! Network namespaces for unit tests, and an XDP program to put into them. Needs root: without, tests fail.

#![expect(unsafe_code, reason = "bpf(2) has no safe wrapper that takes a two-instruction program")]

use nix::sched::{CloneFlags, setns, unshare};
use std::{
    fs::File,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    panic::resume_unwind,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// A network namespace with its loopback up; it ends with this value, and everything in it.
pub(crate) struct Namespace {
    file: File,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let file = in_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace needs root");
            ip("link set lo up");
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        Self { file }
    }

    /// Runs `test` on a thread inside.
    pub(crate) fn run<T: Send>(&self, test: impl FnOnce() -> T + Send) -> T {
        in_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET).unwrap();
            test()
        })
    }

    /// What `ip link set … netns` takes.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }
}

fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// Runs iproute2 in the calling thread's namespace.
pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("iproute2 is needed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Waits until an interface that has just got its carrier sends: until then the kernel drops what it is given.
pub(crate) fn await_running(name: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let output = Command::new("ip").args(["-oneline", "link", "show", name]).output().unwrap();
        if String::from_utf8_lossy(&output.stdout).contains(" state UP ") {
            return;
        }
        assert!(Instant::now() < deadline, "{name} stays down");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The index of an interface of the calling thread's namespace.
pub(crate) fn index(name: &str) -> u32 {
    nix::net::if_::if_nametoindex(name).unwrap()
}

/// Native and generic mode, as BPF_LINK_CREATE says them.
pub(crate) const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
pub(crate) const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;

/// A program that passes everything, attached to an interface until the value is dropped.
pub(crate) struct XdpPass {
    link: OwnedFd,
}

impl XdpPass {
    pub(crate) fn attach(interface: &str, mode: u32) -> Self {
        const BPF_PROG_LOAD: i32 = 5;
        const BPF_LINK_CREATE: i32 = 28;
        const BPF_PROG_TYPE_XDP: u32 = 6;
        const BPF_XDP: u32 = 37;
        #[repr(C)]
        struct Load {
            program_type: u32,
            instruction_count: u32,
            instructions: u64,
            license: u64,
        }
        // mov r0, XDP_PASS; exit
        let instructions: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];
        let load = Load {
            program_type: BPF_PROG_TYPE_XDP,
            instruction_count: 2,
            instructions: instructions.as_ptr() as u64,
            license: c"GPL".as_ptr() as u64,
        };
        let program = owned(bpf(BPF_PROG_LOAD, &load));
        // program, target, attach type, flags
        let create = [program.as_raw_fd().cast_unsigned(), index(interface), BPF_XDP, mode];
        Self { link: owned(bpf(BPF_LINK_CREATE, &create)) }
    }
}

impl Drop for XdpPass {
    /// Closing is not enough: a process that another test is just starting may hold a copy of the descriptor.
    fn drop(&mut self) {
        const BPF_LINK_DETACH: i32 = 34;
        bpf(BPF_LINK_DETACH, &self.link.as_raw_fd());
    }
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: both callers pass a descriptor that the kernel has just made for them.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn bpf<T>(command: i32, attributes: &T) -> i32 {
    // SAFETY: the kernel reads as much of `attributes` as it is told there is, and what they point to outlives the
    // call.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    assert!(result >= 0, "bpf {command}: {}", std::io::Error::last_os_error());
    result as i32
}
