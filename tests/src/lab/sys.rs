//! The only `unsafe` room of this crate: `bpf(2)`, what a child does between fork and exec, and the address of
//! a packet socket. Owns no policy.
#![expect(unsafe_code, reason = "bpf(2), pre_exec and sockaddr_ll have no safe form")]

use std::{
    io,
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
    sync::Arc,
};

use nix::sched::{CloneFlags, setns};

/// Makes the child enter both namespaces before it executes, and die with the thread that spawns it.
pub(super) fn enter_before_exec(command: &mut Command, net: Arc<OwnedFd>, mounts: Arc<OwnedFd>) {
    let parent = nix::unistd::getpid();
    let enter = move || {
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        // The parent may have died before the signal was asked for.
        if nix::unistd::getppid() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        setns(net.as_fd(), CloneFlags::CLONE_NEWNET)?;
        setns(mounts.as_fd(), CloneFlags::CLONE_NEWNS)?;
        Ok(())
    };
    // SAFETY: the closure makes system calls alone; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(enter) };
}

/// Loads the program `return XDP_PASS`.
pub(super) fn load_xdp_pass() -> io::Result<OwnedFd> {
    const BPF_PROG_LOAD: libc::c_long = 5;
    const BPF_PROG_TYPE_XDP: u32 = 6;
    /// `r0 = XDP_PASS; exit`
    static PROGRAM: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 2, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
    static LICENCE: &std::ffi::CStr = c"Dual MIT/GPL";

    #[repr(C)]
    struct Attributes {
        program_type: u32,
        instructions: u32,
        code: u64,
        licence: u64,
        log: [u64; 2],
        kernel_version: u32,
        flags: u32,
    }
    bpf(
        BPF_PROG_LOAD,
        &Attributes {
            program_type: BPF_PROG_TYPE_XDP,
            instructions: PROGRAM.len() as u32,
            code: PROGRAM.as_ptr() as u64,
            licence: LICENCE.as_ptr() as u64,
            log: [0; 2],
            kernel_version: 0,
            flags: 0,
        },
    )
}

/// Attaches an XDP program in the driver of the interface with that index in the calling thread's network
/// namespace; it stays there as long as the link's descriptor.
pub(super) fn link_xdp(program: &OwnedFd, ifindex: u32) -> io::Result<OwnedFd> {
    const BPF_LINK_CREATE: libc::c_long = 28;
    const BPF_XDP: u32 = 37;
    const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

    #[repr(C)]
    struct Attributes {
        program: u32,
        ifindex: u32,
        attach_type: u32,
        flags: u32,
    }
    bpf(
        BPF_LINK_CREATE,
        &Attributes {
            program: program.as_raw_fd() as u32,
            ifindex,
            attach_type: BPF_XDP,
            flags: XDP_FLAGS_DRV_MODE,
        },
    )
}

/// `bpf(2)` for the commands that return a descriptor.
fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: both callers' attributes are laid out as the kernel's `union bpf_attr` begins, are read only, and
    // point to statics; the size is theirs.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: these commands return a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Every protocol on one interface, as a packet socket's address.
pub(crate) fn packet_address(ifindex: u32) -> io::Result<socket2::SockAddr> {
    // SAFETY: the storage is large enough for every address, `sockaddr_ll` is plain integers, and the length
    // says how much of it was written.
    let ((), address) = unsafe {
        socket2::SockAddr::try_init(|storage, len| {
            let link = storage.cast::<libc::sockaddr_ll>();
            (*link).sll_family = libc::AF_PACKET as u16;
            (*link).sll_protocol = (libc::ETH_P_ALL as u16).to_be();
            (*link).sll_ifindex = ifindex as i32;
            *len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })?
    };
    Ok(address)
}
