//! The XDP program and its maps, from user space: loading, attaching, filling. Owns the only handles to them; it
//! decides nothing about leases, and the store is the truth of which the maps are a cache.

mod attach;
mod error;
mod leases;
mod slots;
mod templates;

#[cfg(test)]
mod tests;

pub use attach::Attached;
pub use error::FastPathError;
pub use templates::TemplateCounts;

use crate::sys::{maps::Abi, membarrier};
use aya::{
    Ebpf, EbpfLoader, TestRun, TestRunOptions,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray},
    programs::{Xdp, links::FdLink},
};
use dhcp_ebpf::{
    abi::{Classes, LeaseKey, LeaseRef, Link, LinkKey, Network, SideKey, SideValue, Template},
    reason::Reason,
};
use slots::Slots;
use std::io;
use templates::Templates;

/// The program's name in the object.
const PROGRAM: &str = "dhcp";

/// Values that a lease can have in `SIDE`: a long identity, and a host name.
const SIDE_VALUES: u32 = 2;

/// How much the maps hold. Zero counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Leases.
    pub slots: u32,
    /// Links that are served.
    pub links: u32,
    /// Networks: their ids are below it.
    pub networks: u32,
    /// Templates, over the whole run of the daemon.
    pub templates: u32,
}

/// The fast path, loaded. It ends with this value: the program leaves its interface, the maps are forgotten.
pub struct FastPath {
    /// Before the rest, so that the program leaves first.
    link: Option<FdLink>,
    ebpf: Ebpf,
    links: HashMap<MapData, Abi<LinkKey>, Abi<Link>>,
    networks: Array<MapData, Abi<Network>>,
    classes: Array<MapData, Abi<Classes>>,
    leases: HashMap<MapData, Abi<LeaseKey>, Abi<LeaseRef>>,
    side: HashMap<MapData, Abi<SideKey>, Abi<SideValue>>,
    slots: Slots,
    templates: Templates,
    counters: PerCpuArray<MapData, u64>,
}

impl FastPath {
    /// Loads maps and program; nothing is attached yet.
    ///
    /// # Errors
    /// The kernel does not let this process, does not take the program, or has no grace to wait for.
    pub fn load(sizes: Sizes) -> Result<Self, FastPathError> {
        if !membarrier::is_supported().unwrap_or(false) {
            return Err(FastPathError::NoGrace);
        }
        let mut fast_path = Self::load_maps(sizes)?;
        let program = fast_path.ebpf.program_mut(PROGRAM).ok_or_else(|| missing(PROGRAM))?;
        let program: &mut Xdp = program.try_into()?;
        program.load()?;
        Ok(fast_path)
    }

    fn load_maps(sizes: Sizes) -> Result<Self, FastPathError> {
        let slots = sizes.slots.max(1);
        let templates = sizes.templates.max(1);
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("LINKS", sizes.links.max(1))
            .map_max_entries("NETWORKS", sizes.networks.max(1))
            .map_max_entries("CLASSES", sizes.networks.max(1))
            .map_max_entries("LEASES", slots)
            .map_max_entries("SLOTS", slots)
            .map_max_entries("SIDE", slots.saturating_mul(SIDE_VALUES))
            .map_max_entries("TEMPLATES", templates)
            .map_max_entries("SHAPES", templates)
            .load(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/dhcp-ebpf")))?;
        let Some(Map::Array(slot_map)) = ebpf.map("SLOTS") else { return Err(missing("SLOTS")) };
        let slots = Slots::new(slot_map, slots)
            .map_err(|error| FastPathError::Load(format!("SLOTS cannot be mapped: {error}")))?;
        Ok(Self {
            link: None,
            links: take(&mut ebpf, "LINKS")?,
            networks: take(&mut ebpf, "NETWORKS")?,
            classes: take(&mut ebpf, "CLASSES")?,
            leases: take(&mut ebpf, "LEASES")?,
            side: take(&mut ebpf, "SIDE")?,
            slots,
            templates: Templates::new(take(&mut ebpf, "TEMPLATES")?, take(&mut ebpf, "SHAPES")?),
            counters: take(&mut ebpf, "COUNTERS")?,
            ebpf,
        })
    }

    /// Serves what comes in untagged at the interface of index `ifindex`.
    ///
    /// # Errors
    /// The kernel's, for instance that there are more links than [`Sizes::links`].
    pub fn set_link(&mut self, ifindex: u32, link: &Link) -> Result<(), FastPathError> {
        let key = LinkKey { ifindex, ..LinkKey::default() };
        self.links.insert(Abi(key), Abi(*link), 0).map_err(FastPathError::map("LINKS"))
    }

    /// Says what a network's kernel answers, and what options mean there.
    ///
    /// # Errors
    /// The kernel's, for instance that `id` is not below [`Sizes::networks`].
    pub fn set_network(
        &mut self,
        id: u32,
        network: &Network,
        classes: &Classes,
    ) -> Result<(), FastPathError> {
        self.classes.set(id, Abi(*classes), 0).map_err(FastPathError::map("CLASSES"))?;
        // Behind its classes: this is what lets the kernel answer.
        self.networks.set(id, Abi(*network), 0).map_err(FastPathError::map("NETWORKS"))
    }

    /// The id of the template for a request's selector octets (code, length, value, in packet order). Unless there
    /// is one already, `make` makes it; its epoch, profile and selectors are filled in here. None where the table
    /// is full, where there are more than [`SELECTORS_MAX`](dhcp_ebpf::abi::SELECTORS_MAX) octets, or where `make`
    /// makes none.
    pub fn template_for(
        &mut self,
        epoch: u32,
        profile: u32,
        selectors: &[u8],
        make: impl FnOnce() -> Option<Template>,
    ) -> Option<u32> {
        self.templates.get_or_make(epoch, profile, selectors, make)
    }

    /// How many templates there are.
    pub fn template_counts(&self) -> TemplateCounts {
        self.templates.counts()
    }

    /// What became of the packets so far, on all CPUs: each reason's name and its count, in [`Reason::ALL`]'s order.
    ///
    /// # Errors
    /// The kernel's.
    pub fn counters(&self) -> Result<Vec<(&'static str, u64)>, FastPathError> {
        let count = |reason: &Reason| {
            let per_cpu = self.counters.get(&(*reason as u32), 0).map_err(FastPathError::map("COUNTERS"))?;
            Ok((reason.name(), per_cpu.iter().sum()))
        };
        Reason::ALL.iter().map(count).collect()
    }

    /// Runs the program once on a frame that seems to come in at the interface of index `ifindex` of the calling
    /// thread's network namespace, attached or not: its verdict (`XDP_PASS` is 2, `XDP_TX` 3) and the frame as it
    /// leaves it. Counters and leases change as by any packet.
    ///
    /// # Errors
    /// The kernel's: a frame shorter than an Ethernet header, or no such interface.
    pub fn test_run(&self, frame: &[u8], ifindex: u32) -> io::Result<(u32, Vec<u8>)> {
        // As much as the kernel lets such a frame have.
        const ROOM: usize = 4096;
        // struct xdp_md, in words: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let mut context = [0u32; 6];
        context[1] = u32::try_from(frame.len()).map_err(io::Error::other)?;
        context[3] = ifindex;
        let program = self.ebpf.program(PROGRAM).ok_or_else(|| io::Error::other(missing(PROGRAM)))?;
        let program: &Xdp = program.try_into().map_err(io::Error::other)?;
        let mut out = vec![0; ROOM];
        let result = program
            .test_run(TestRunOptions {
                data_in: Some(frame),
                data_out: Some(&mut out),
                ctx_in: Some(zerocopy::IntoBytes::as_bytes(&context)),
                ..TestRunOptions::default()
            })
            .map_err(|error| io::Error::other(error::chain(&error)))?;
        out.truncate(result.data_size_out as usize);
        Ok((result.return_value, out))
    }
}

/// Takes a map out of the loaded object, as the kind that it is here.
fn take<T: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, FastPathError> {
    let map = ebpf.take_map(name).ok_or_else(|| missing(name))?;
    T::try_from(map).map_err(FastPathError::map(name))
}

fn missing(name: &str) -> FastPathError {
    FastPathError::Load(format!("the object has no {name}"))
}
