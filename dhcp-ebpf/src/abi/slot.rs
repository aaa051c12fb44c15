//! A lease's slot, word by word: who writes which, and what each says.

use super::{BootSecs, Ip};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The longest identity that a [`Slot`] holds itself; a longer one stands in `SIDE` under option 61's code.
pub const IDENTITY_MAX: usize = 40;

/// A lease as the kernel knows it: one cache line, mapped into user space.
///
/// **No word has two writers.** The kernel writes [`end`](Self::end) alone; every other word is user space's.
/// The end of the lease is the later of `end` and [`Bounds::promised`], so that neither side can take back
/// what the other one gave: there is no value that an update could overwrite.
///
/// The identity changes only while the slot is closed and a grace has passed since.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Slot {
    /// [`Control`], read and written as one word.
    pub control: AtomicU64,
    /// [`Bounds`], read and written as one word.
    pub bounds: AtomicU64,
    /// [`Promise`], read and written as one word. The kernel's word; user space sets it only where the slot is
    /// closed and a grace has passed.
    pub end: AtomicU64,
    /// The client's identity, zero behind its length.
    pub identity: [u8; IDENTITY_MAX],
}

impl Slot {
    /// The slot's control word, taken apart.
    pub fn control(&self) -> Control {
        Control::from_word(self.control.load(Relaxed))
    }

    /// The slot's bounds, taken apart.
    pub fn bounds(&self) -> Bounds {
        Bounds::from_word(self.bounds.load(Relaxed))
    }

    /// What the kernel has promised.
    pub fn promise(&self) -> Promise {
        Promise::from_word(self.end.load(Relaxed))
    }
}

/// The first word of a [`Slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// Whether the lease may be answered.
    pub open: bool,
    /// `IDENTITY_*`: what the identity's bytes are.
    pub kind: u8,
    /// The identity's length in octets, also where it is too long for the slot.
    pub len: u8,
    /// Tells this use of the slot from the ones before and after it.
    pub generation: u16,
    /// The profile whose templates answer this lease, or [`NO_PROFILE`].
    pub profile: u16,
    /// The template of the last answer, or [`NO_TEMPLATE`]: a short cut to the one that its shape has.
    pub template: u16,
}

/// No client identifier came: the identity is `chaddr`.
pub const IDENTITY_CHADDR: u8 = 1;
/// The identity is the value of option 61, type octet included.
pub const IDENTITY_OPTION: u8 = 2;
/// The value of [`Control::template`] where there is none.
pub const NO_TEMPLATE: u16 = u16::MAX;
/// The value of [`Control::profile`] of a lease whose renewals are user space's to answer; no template has it.
pub const NO_PROFILE: u16 = u16::MAX;

impl Control {
    /// The word that says this.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        self.open as u64
            | (self.kind as u64 & 0x7f) << 1
            | (self.len as u64) << 8
            | (self.generation as u64) << 16
            | (self.profile as u64) << 32
            | (self.template as u64) << 48
    }

    /// What a word says.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self {
            open: word & 1 == 1,
            kind: (word >> 1) as u8 & 0x7f,
            len: (word >> 8) as u8,
            generation: (word >> 16) as u16,
            profile: (word >> 32) as u16,
            template: (word >> 48) as u16,
        }
    }
}

/// The second word of a [`Slot`]: what user space says of the lease's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The latest end that is durable: nobody promises a later one.
    pub horizon: BootSecs,
    /// The latest end that user space has promised, with its slack. It only rises while the slot is open.
    pub promised: BootSecs,
}

impl Bounds {
    /// The word that says this.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        self.horizon.0 as u64 | (self.promised.0 as u64) << 32
    }

    /// What a word says.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self { horizon: BootSecs(word as u32), promised: BootSecs((word >> 32) as u32) }
    }
}

/// The third word of a [`Slot`]: what the kernel has promised, and of which address. The kernel writes the address
/// back as it has found it. An element of `LEASES` is recycled without a grace, so what a lookup gives may be
/// another address's: this is where that shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    /// The latest end that the kernel has promised; 0 for none.
    pub end: BootSecs,
    /// The leased address.
    pub address: Ip,
}

impl Promise {
    /// The word that says this.
    #[inline(always)]
    pub const fn to_word(self) -> u64 {
        self.end.0 as u64 | (u32::from_ne_bytes(self.address.0) as u64) << 32
    }

    /// What a word says.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self { end: BootSecs(word as u32), address: Ip(((word >> 32) as u32).to_ne_bytes()) }
    }
}

const _: () = assert!(size_of::<Slot>() == 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_was_put_into_them() {
        for generation in [0, 1, u16::MAX] {
            for open in [false, true] {
                let control = Control {
                    open,
                    kind: IDENTITY_OPTION,
                    len: 255,
                    generation,
                    profile: 7,
                    template: NO_TEMPLATE,
                };
                assert_eq!(Control::from_word(control.to_word()), control);
            }
        }
        let bounds = Bounds { horizon: BootSecs::NEVER, promised: BootSecs(7) };
        assert_eq!(Bounds::from_word(bounds.to_word()), bounds);
        let promise = Promise { end: BootSecs(7), address: Ip([10, 0, 0, 255]) };
        assert_eq!(Promise::from_word(promise.to_word()), promise);
    }

    #[test]
    fn a_closed_slot_differs_from_an_open_one_in_one_bit() {
        let open = Control { open: true, kind: 1, len: 6, generation: 3, profile: 0, template: 9 };
        assert_eq!(open.to_word() ^ Control { open: false, ..open }.to_word(), 1);
    }
}
