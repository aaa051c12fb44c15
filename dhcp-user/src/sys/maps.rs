//! BPF maps as memory: the types of the map ABI as aya takes them, and an array map that is mapped into this
//! process. Must not know what any value means.

#![expect(unsafe_code, reason = "aya's Pod is an unsafe trait, and mmap(2) hands out a pointer")]

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::{
    ffi::c_void, io, num::NonZeroUsize, ops::Deref, os::fd::AsFd, ptr::NonNull, slice,
    sync::atomic::AtomicU64,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A key or a value of the map ABI, as aya's maps take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Abi<T>(pub T);

// SAFETY: aya reads such a value as octets and makes one of octets that the kernel wrote. `IntoBytes` says that
// it has no padding, `Immutable` that nobody changes it meanwhile, `FromBytes` that any octets are one; and
// `Abi<T>` has the layout of `T`.
unsafe impl<T: FromBytes + IntoBytes + Immutable + Copy + 'static> aya::Pod for Abi<T> {}

/// An array map made with `BPF_F_MMAPABLE`, shared with the kernel word by word until this value is dropped.
///
/// Elements stand one behind the other, each as long as the map's values (a multiple of 8 octets). Every access
/// is atomic, so that whatever the kernel's program writes meanwhile is an ordinary concurrent store.
#[derive(Debug)]
pub struct SharedWords {
    start: NonNull<c_void>,
    len: NonZeroUsize,
}

impl SharedWords {
    /// Maps `octets` of the map, from its first element on.
    ///
    /// # Errors
    /// The kernel's: the map was not made for this (EINVAL, ENOTSUPP), or there is no memory.
    pub fn map(map: &impl AsFd, octets: NonZeroUsize) -> io::Result<Self> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses a free range, so that no other memory is touched.
        let start = unsafe { mmap(None, octets, access, MapFlags::MAP_SHARED, map.as_fd(), 0) }?;
        Ok(Self { start, len: octets })
    }
}

impl Deref for SharedWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the range is mapped, page-aligned and readable and writable for as long as `self` lives; octets
        // that the kernel zeroed or wrote are integers, and an atomic may change under a shared reference.
        unsafe { slice::from_raw_parts(self.start.cast().as_ptr(), self.len.get() / size_of::<AtomicU64>()) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: the range is this value's own, and every reference into it has ended with the borrow of `self`.
        // It fails only for a range that was never mapped.
        let _ = unsafe { munmap(self.start, self.len.get()) };
    }
}

// SAFETY: the memory belongs to the process, not to a thread, and unmapping it is any thread's to do.
unsafe impl Send for SharedWords {}
// SAFETY: shared references give access to atomics alone.
unsafe impl Sync for SharedWords {}
