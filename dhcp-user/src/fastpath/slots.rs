//! The slots, as user space sees and writes them: shared memory, one atomic word at a time. Owns which word says
//! what and which slots are free; must not look into any other map.

use crate::sys::maps::SharedWords;
use aya::maps::MapData;
use dhcp_ebpf::abi::{BootSecs, Bounds, Control, IDENTITY_MAX, Ip, Promise, Slot};
use std::{
    io,
    mem::offset_of,
    num::NonZeroUsize,
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, Release},
    },
};

const WORDS: usize = size_of::<Slot>() / size_of::<u64>();
const CONTROL: usize = offset_of!(Slot, control) / size_of::<u64>();
const BOUNDS: usize = offset_of!(Slot, bounds) / size_of::<u64>();
const END: usize = offset_of!(Slot, end) / size_of::<u64>();
const IDENTITY: usize = offset_of!(Slot, identity) / size_of::<u64>();

// Every field begins with a word, and words are all that there is.
const _: () = {
    assert!(size_of::<Slot>().is_multiple_of(size_of::<u64>()));
    assert!(offset_of!(Slot, identity) == IDENTITY * size_of::<u64>());
    assert!(IDENTITY_MAX.is_multiple_of(size_of::<u64>()));
};

/// All slots. A slot's index beyond their number is a caller's error, and panics.
#[derive(Debug)]
pub(super) struct Slots {
    words: SharedWords,
    count: u32,
    free: Vec<u32>,
}

impl Slots {
    /// The slots of a fresh map of `count`, all of them free.
    pub(super) fn new(map: &MapData, count: u32) -> io::Result<Self> {
        let octets =
            NonZeroUsize::new(count as usize * size_of::<Slot>()).ok_or(io::ErrorKind::InvalidInput)?;
        let words = SharedWords::map(map.fd(), octets)?;
        Ok(Self { words, count, free: (0..count).rev().collect() })
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn free(&self) -> u32 {
        // There are never more free ones than slots.
        self.free.len() as u32
    }

    pub(super) fn take(&mut self) -> Option<u32> {
        self.free.pop()
    }

    pub(super) fn give_back(&mut self, slot: u32) {
        self.free.push(slot);
    }

    pub(super) fn control(&self, slot: u32) -> Control {
        Control::from_word(self.words(slot)[CONTROL].load(Relaxed))
    }

    /// Whatever was written to the slot before is there for whoever sees this.
    pub(super) fn set_control(&self, slot: u32, control: Control) {
        self.words(slot)[CONTROL].store(control.to_word(), Release);
    }

    pub(super) fn bounds(&self, slot: u32) -> Bounds {
        Bounds::from_word(self.words(slot)[BOUNDS].load(Relaxed))
    }

    pub(super) fn set_bounds(&self, slot: u32, bounds: Bounds) {
        self.words(slot)[BOUNDS].store(bounds.to_word(), Release);
    }

    pub(super) fn end(&self, slot: u32) -> BootSecs {
        Promise::from_word(self.words(slot)[END].load(Relaxed)).end
    }

    /// Says whose end the kernel is to promise, and that it has promised none: only for a slot that no running
    /// program can see open.
    pub(super) fn set_address(&self, slot: u32, address: Ip) {
        self.words(slot)[END].store(Promise { end: BootSecs(0), address }.to_word(), Relaxed);
    }

    /// Writes an identity that fits, zero behind it; one that does not leaves zeros. Only for a slot that no
    /// running program can see open: its octets are several words.
    pub(super) fn set_identity(&self, slot: u32, identity: &[u8]) {
        let mut octets = [0; IDENTITY_MAX];
        if let Some(start) = octets.get_mut(..identity.len()) {
            start.copy_from_slice(identity);
        }
        let (values, _) = octets.as_chunks();
        for (word, value) in self.words(slot)[IDENTITY..].iter().zip(values) {
            word.store(u64::from_ne_bytes(*value), Relaxed);
        }
    }

    fn words(&self, slot: u32) -> &[AtomicU64; WORDS] {
        let (slots, _) = self.words.as_chunks();
        &slots[slot as usize]
    }

    /// Promises an end as the kernel's program does.
    #[cfg(test)]
    pub(super) fn set_end_like_the_kernel(&self, slot: u32, end: BootSecs) {
        let promise = Promise::from_word(self.words(slot)[END].load(Relaxed));
        self.words(slot)[END].store(Promise { end, ..promise }.to_word(), Relaxed);
    }
}
