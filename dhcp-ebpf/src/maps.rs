//! The maps that user space fills, and the kernel's clock, as the decision reads them. Unsafe room of the kernel
//! side, with `program.rs`: it turns map values into references, and decides nothing.
#![expect(unsafe_code, reason = "map values are raw pointers here, and the clock is a helper")]

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    helpers::bpf_ktime_get_boot_ns,
    macros::map,
    maps::{Array, HashMap, LpmTrie, lpm_trie::Key},
};
use core::sync::atomic::AtomicU64;
use dhcp_ebpf::{
    abi::{
        Classes, Ip, LeaseKey, LeaseRef, Link, LinkKey, Network, ShapeKey, SideKey, SideValue, Slot, Template,
    },
    decide::Tables,
};

// Sizes are the loader's: it sets them from the configuration.
#[map]
static LINKS: HashMap<LinkKey, Link> = HashMap::with_max_entries(1, 0);
#[map]
static RELAYS: LpmTrie<[u8; 4], u32> = LpmTrie::with_max_entries(1, BPF_F_NO_PREALLOC);
#[map]
static NETWORKS: Array<Network> = Array::with_max_entries(1, 0);
#[map]
static CLASSES: Array<Classes> = Array::with_max_entries(1, 0);
#[map]
static LEASES: HashMap<LeaseKey, LeaseRef> = HashMap::with_max_entries(1, 0);
#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static SIDE: HashMap<SideKey, SideValue> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);
#[map]
static TEMPLATES: Array<Template> = Array::with_max_entries(1, 0);
#[map]
static SHAPES: HashMap<ShapeKey, u32> = HashMap::with_max_entries(1, 0);

/// The maps behind [`Tables`].
pub(crate) struct Maps;

/// A map value as a reference for the program's run.
#[inline(always)]
fn borrow<'a, T>(value: Option<*const T>) -> Option<&'a T> {
    // SAFETY: a map's value outlives the run of the program that looked it up, and has room and alignment for
    // a `T`. What another CPU may change meanwhile is atomic in its type, or is never changed while it is
    // published.
    value.map(|value| unsafe { &*value })
}

impl Tables for Maps {
    #[inline(always)]
    fn link(&self, key: &LinkKey) -> Option<&Link> {
        borrow(LINKS.get_ptr(key))
    }

    #[inline(always)]
    fn relay(&self, giaddr: Ip) -> Option<u32> {
        RELAYS.get(Key::new(32, giaddr.0)).copied()
    }

    #[inline(always)]
    fn network(&self, id: u32) -> Option<&Network> {
        NETWORKS.get(id)
    }

    #[inline(always)]
    fn classes(&self, network: u32) -> Option<&Classes> {
        CLASSES.get(network)
    }

    #[inline(always)]
    fn lease(&self, key: &LeaseKey) -> Option<LeaseRef> {
        borrow(LEASES.get_ptr(key)).copied()
    }

    #[inline(always)]
    fn slot(&self, index: u32) -> Option<&Slot> {
        SLOTS.get(index)
    }

    #[inline(always)]
    fn side(&self, key: &SideKey) -> Option<&SideValue> {
        borrow(SIDE.get_ptr(key))
    }

    #[inline(always)]
    fn template(&self, id: u32) -> Option<&Template> {
        TEMPLATES.get(id)
    }

    #[inline(always)]
    fn shape(&self, key: &ShapeKey) -> Option<u32> {
        borrow(SHAPES.get_ptr(key)).copied()
    }

    #[inline(always)]
    fn boot_ns(&self) -> u64 {
        // SAFETY: a helper without arguments.
        unsafe { bpf_ktime_get_boot_ns() }
    }

    #[inline(always)]
    fn load(&self, word: &AtomicU64) -> u64 {
        // SAFETY: the pointer is an atomic's own; one aligned load of eight octets is one access on every target.
        unsafe { word.as_ptr().read_volatile() }
    }
}
