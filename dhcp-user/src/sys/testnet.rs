//! Network namespaces for unit tests, and an XDP program to put into them. Needs root: without, tests fail.

#![expect(unsafe_code, reason = "bpf(2) has no safe wrapper that takes a two-instruction program")]

use nix::sched::{CloneFlags, setns, unshare};
use std::{
    fs::File,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    panic::resume_unwind,
    process::Command,
    thread,
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

/// The index of an interface of the calling thread's namespace.
pub(crate) fn index(name: &str) -> u32 {
    nix::net::if_::if_nametoindex(name).unwrap()
}

/// Native and generic mode, as BPF_LINK_CREATE says them.
pub(crate) const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
pub(crate) const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;

/// Attaches a program that passes everything, until the value is dropped.
pub(crate) fn attach_xdp_pass(interface: &str, mode: u32) -> OwnedFd {
    #[repr(C)]
    #[derive(Default)]
    struct Load {
        program_type: u32,
        instruction_count: u32,
        instructions: u64,
        license: u64,
    }
    #[repr(C)]
    struct Create {
        program: u32,
        target: u32,
        attach_type: u32,
        flags: u32,
    }
    const BPF_PROG_LOAD: i32 = 5;
    const BPF_LINK_CREATE: i32 = 28;
    const BPF_PROG_TYPE_XDP: u32 = 6;
    const BPF_XDP: u32 = 37;
    // mov r0, XDP_PASS; exit
    let instructions: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];
    let program = bpf(
        BPF_PROG_LOAD,
        &Load {
            program_type: BPF_PROG_TYPE_XDP,
            instruction_count: 2,
            instructions: instructions.as_ptr() as u64,
            license: c"GPL".as_ptr() as u64,
        },
    );
    let program_fd = program.as_raw_fd().cast_unsigned();
    bpf(
        BPF_LINK_CREATE,
        &Create { program: program_fd, target: index(interface), attach_type: BPF_XDP, flags: mode },
    )
}

fn bpf<T>(command: i32, attributes: &T) -> OwnedFd {
    // SAFETY: the kernel reads as much of `attributes` as it is told there is; what they point to outlives the
    // call; and both commands return a new descriptor that nothing else owns.
    unsafe {
        let fd = libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>());
        assert!(fd >= 0, "bpf {command}: {}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd as i32)
    }
}
