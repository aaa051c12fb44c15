//! The templates that the kernel answers with, by what they were made for. Owns their ids; knows nothing of how a
//! template is made.
//!
//! Ids are given out once and never again, not even in another epoch: a program may still read what a template
//! was. A table that has filled up leaves new shapes to user space until the daemon starts anew.

use super::{FastPathError, error::is};
use crate::sys::maps::Abi;
use aya::maps::{Array, HashMap, MapData};
use dhcp_ebpf::{
    abi::{SELECTORS_MAX, ShapeKey, Template},
    shape::Selectors,
};
use std::{collections, io};
use zerocopy::transmute_ref;

/// Octets of a [`Template`], which is too large to be copied by accident and so no `Pod`.
pub(super) type TemplateOctets = [u8; size_of::<Template>()];

/// `linux/bpf.h`: refuse where the key is there already.
pub(super) const BPF_NOEXIST: u64 = 1;

/// How many templates there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TemplateCounts {
    /// Templates that are published.
    pub used: u32,
    /// Requests for one that got none: the table was full, or there was none to be made.
    pub refused: u64,
}

/// Ids by selector octets.
type Shapes = collections::HashMap<Box<[u8]>, u32>;

pub(super) struct Templates {
    pub(super) templates: Array<MapData, TemplateOctets>,
    pub(super) shapes: HashMap<MapData, Abi<ShapeKey>, u32>,
    /// By epoch and profile.
    known: collections::HashMap<(u32, u32), Shapes>,
    counts: TemplateCounts,
}

impl Templates {
    pub(super) fn new(
        templates: Array<MapData, TemplateOctets>,
        shapes: HashMap<MapData, Abi<ShapeKey>, u32>,
    ) -> Self {
        Self { templates, shapes, known: collections::HashMap::new(), counts: TemplateCounts::default() }
    }

    pub(super) fn counts(&self) -> TemplateCounts {
        self.counts
    }

    pub(super) fn get_or_make(
        &mut self,
        epoch: u32,
        profile: u32,
        selectors: &[u8],
        make: impl FnOnce() -> Option<Template>,
    ) -> Option<u32> {
        if let Some(id) = self.known.get(&(epoch, profile)).and_then(|shapes| shapes.get(selectors)) {
            return Some(*id);
        }
        let id = self.add(epoch, profile, selectors, make).unwrap_or_else(|error| {
            tracing::warn!(%error, "a template is not published");
            None
        });
        match id {
            Some(id) => {
                self.counts.used += 1;
                self.known.entry((epoch, profile)).or_default().insert(selectors.into(), id);
            }
            None => self.counts.refused += 1,
        }
        id
    }

    fn add(
        &mut self,
        epoch: u32,
        profile: u32,
        selectors: &[u8],
        make: impl FnOnce() -> Option<Template>,
    ) -> Result<Option<u32>, FastPathError> {
        let id = self.counts.used;
        let Some(shape) = Selectors::from_bytes(selectors) else { return Ok(None) };
        if id >= self.templates.len() {
            return Ok(None);
        }
        let Some(mut template) = make() else { return Ok(None) };
        template.epoch = epoch;
        template.profile = profile;
        template.selectors = [0; SELECTORS_MAX];
        for (to, from) in template.selectors.iter_mut().zip(selectors) {
            *to = *from;
        }
        // At most SELECTORS_MAX, or there were no Selectors.
        template.selectors_len = selectors.len() as u16;

        let octets: &TemplateOctets = transmute_ref!(&template);
        self.templates.set(id, octets, 0).map_err(FastPathError::map("TEMPLATES"))?;
        let key = Abi(ShapeKey { hash: shape.hash(), profile, epoch });
        match self.shapes.insert(key, id, BPF_NOEXIST) {
            Ok(()) => Ok(Some(id)),
            // Another shape of the same hash was first: this one is found through the slots that name it.
            Err(error) if is(&error, io::ErrorKind::AlreadyExists) => Ok(Some(id)),
            Err(error) => Err(FastPathError::Map { map: "SHAPES", source: error }),
        }
    }
}
