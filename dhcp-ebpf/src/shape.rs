//! The shape of a request: the options that select its reply. Owns how they are gathered, hashed and compared;
//! which options they are is the network's classes' to say.

use crate::{
    abi::{SELECTORS_MAX, Template},
    reason::Reason,
    wire::{
        OPTIONS_MAX, Span, fresh, octet, octet_mut,
        options::{Options, SELECTOR_OPTIONS_MAX},
    },
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The selector options of a request: code, length, value, in packet order.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Selectors {
    octets: [u8; SELECTORS_MAX],
    len: u64,
}

impl Selectors {
    /// None yet.
    pub const fn new() -> Self {
        Self { octets: [0; SELECTORS_MAX], len: 0 }
    }

    /// Those of a template. None where they are more than one can be made for.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut selectors = Self::new();
        selectors.octets.get_mut(..bytes.len())?.copy_from_slice(bytes);
        selectors.len = bytes.len() as u64;
        Some(selectors)
    }

    /// The octets that count.
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len as usize).unwrap_or_default()
    }

    /// Puts the selector options of a request side by side.
    #[inline(always)]
    pub fn gather(&mut self, options: &[u8; OPTIONS_MAX], found: &Options) -> Result<(), Reason> {
        self.len = 0;
        for kept in 0..SELECTOR_OPTIONS_MAX {
            if kept >= usize::from(found.selectors_count) {
                break;
            }
            let kept = found.selectors.get(kept).ok_or(Reason::OptionsTooMany)?;
            self.append(options, &kept.value)?;
        }
        Ok(())
    }

    /// Appends an option: its code and its length stand before its value.
    #[inline(always)]
    fn append(&mut self, options: &[u8; OPTIONS_MAX], value: &Span) -> Result<(), Reason> {
        let to = fresh(&self.len) as usize;
        let Span { at, len } = fresh(value);
        let octets = usize::from(len) + 2;
        if to + octets > SELECTORS_MAX {
            return Err(Reason::NoTemplate);
        }
        for index in 0..SELECTORS_MAX {
            if index >= octets {
                break;
            }
            let from = octet(options, usize::from(at) - 2 + index).ok_or(Reason::OptionsMalformed)?;
            *octet_mut(&mut self.octets, to + index).ok_or(Reason::NoTemplate)? = from;
        }
        self.len += octets as u64;
        Ok(())
    }

    /// The hash of a [`ShapeKey`](crate::abi::ShapeKey): FNV-1a.
    #[inline(always)]
    pub fn hash(&self) -> u64 {
        let len = fresh(&self.len);
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for index in 0..SELECTORS_MAX {
            if index as u64 >= len {
                break;
            }
            let Some(octet) = octet(&self.octets, index) else { break };
            hash = (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
        hash
    }

    /// Whether a template was made for these, byte for byte: a hash finds, only this decides.
    #[inline(always)]
    pub fn are_those_of(&self, template: &Template) -> bool {
        if u64::from(template.selectors_len) != self.len {
            return false;
        }
        let len = fresh(&self.len);
        for index in 0..SELECTORS_MAX {
            if index as u64 >= len {
                break;
            }
            // Where the loop ends at the smaller of two bounds, Linux 6.1's verifier only sees these.
            let theirs = octet(&template.selectors, index);
            if theirs.is_none() || theirs != octet(&self.octets, index) {
                return false;
            }
        }
        true
    }
}

impl Default for Selectors {
    fn default() -> Self {
        Self::new()
    }
}
