//! The decision: whether the kernel may answer a request, and with what. Everything is decided here, before a
//! byte of the packet changes; in doubt it passes. DESIGN's contract of the fast path, in its order.
//!
//! It reads maps through [`Tables`] alone and writes nothing but its own scratch.

use crate::{
    abi::{
        BootSecs, Bounds, Classes, Control, IDENTITY_CHADDR, IDENTITY_MAX, IDENTITY_OPTION, Ip, LINK_TRUSTED,
        LeaseKey, LeaseRef, Link, LinkKey, Mac, NETWORK_INIT_REBOOT, NETWORK_REBINDING, NETWORK_RENEWING,
        NETWORK_SELECTING, NO_TEMPLATE, Network, Promise, ShapeKey, SideKey, SideValue, Slot, Template,
    },
    arrival::{self, Arrived},
    reason::Reason,
    reply::{self, Destination, Patches},
    shape::Selectors,
    wire::{
        Datagram, OPTIONS_MAX, Span,
        ethernet::Ethernet,
        fresh, octet,
        options::{COMPARED_OPTIONS_MAX, DHCPREQUEST, Options, code},
    },
};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The maps, as the decision reads them.
pub trait Tables {
    /// `LINKS`
    fn link(&self, key: &LinkKey) -> Option<&Link>;
    /// `RELAYS`: the network that holds a relay's address.
    fn relay(&self, giaddr: Ip) -> Option<u32>;
    /// `NETWORKS`
    fn network(&self, id: u32) -> Option<&Network>;
    /// `CLASSES`
    fn classes(&self, network: u32) -> Option<&Classes>;
    /// `LEASES`
    fn lease(&self, key: &LeaseKey) -> Option<LeaseRef>;
    /// `SLOTS`
    fn slot(&self, index: u32) -> Option<&Slot>;
    /// `SIDE`
    fn side(&self, key: &SideKey) -> Option<&SideValue>;
    /// `TEMPLATES`
    fn template(&self, id: u32) -> Option<&Template>;
    /// `SHAPES`
    fn shape(&self, key: &ShapeKey) -> Option<u32>;
    /// Nanoseconds of the boot clock.
    fn boot_ns(&self) -> u64;
    /// A word of a slot. LLVM selects no atomic load for BPF before its v4 instructions (Linux 6.6), so the
    /// kernel side reads it in its own way.
    #[inline(always)]
    fn load(&self, word: &AtomicU64) -> u64 {
        word.load(Relaxed)
    }
}

/// Working memory of a decision: too large for the kernel's stack, and out of the verifier's sight. What one
/// step finds out stands here for the next one, which the verifier then follows once and not once for each
/// thing that could have been found.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    arrived: Arrived,
    asked: Asked,
    /// What the option walk found.
    pub options: Options,
    /// The selector options of the request, gathered.
    pub selectors: Selectors,
    /// What is the client's own in the reply.
    pub patches: Patches,
}

/// RFC 2131 §4.3.2's states of a client that sends a DHCPREQUEST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Extends its lease by unicast.
    #[default]
    Renewing,
    /// Extends its lease by broadcast.
    Rebinding,
    /// Checks a lease that it remembers.
    InitReboot,
    /// Takes an offer.
    Selecting,
}

impl State {
    const fn flag(self) -> u32 {
        match self {
            Self::Renewing => NETWORK_RENEWING,
            Self::Rebinding => NETWORK_REBINDING,
            Self::InitReboot => NETWORK_INIT_REBOOT,
            Self::Selecting => NETWORK_SELECTING,
        }
    }

    /// The counter of a request that was answered in this state.
    pub const fn answered(self) -> Reason {
        match self {
            Self::Renewing => Reason::AckRenewing,
            Self::Rebinding => Reason::AckRebinding,
            Self::InitReboot => Reason::AckInitReboot,
            Self::Selecting => Reason::AckSelecting,
        }
    }
}

/// An answer that may be given; what is the client's own in it stands in [`Scratch::patches`].
#[derive(Debug)]
pub struct Answer<'a> {
    /// The lease's slot.
    pub slot: &'a Slot,
    /// What the answer promises.
    pub promise: Promise,
    /// The reply, but for its patches.
    pub template: &'a Template,
    /// Our hardware address, the reply's source.
    pub mac: Mac,
}

/// What the client wants.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    state: State,
    /// The address that it has, or wants.
    address: Ip,
}

/// RFC 791: every host must take a datagram of this many octets, and RFC 2131 §2 lets a server count on it.
const DATAGRAM_GUARANTEED: usize = 576;

/// Decides on a datagram of `len` octets (what the frame holds behind its Ethernet header) that came in at
/// interface `ifindex`.
#[inline(always)]
pub fn decide<'a, T: Tables>(
    tables: &'a T,
    ifindex: u32,
    ethernet: &Ethernet,
    datagram: &Datagram,
    len: usize,
    scratch: &mut Scratch,
) -> Result<Answer<'a>, Reason> {
    let key = LinkKey { ifindex, outer: ethernet.outer, inner: ethernet.inner };
    let link = tables.link(&key).ok_or(Reason::Link)?;
    if ethernet.destination != link.mac && ethernet.destination != Mac::BROADCAST {
        return Err(Reason::DestinationMac);
    }
    if !ethernet.source.is_unicast() {
        return Err(Reason::SourceMac);
    }
    scratch.arrived = arrival::check(link, datagram, len)?;

    let request = &datagram.dhcp;
    let network_id = if request.giaddr.is_zero() {
        link.network
    } else {
        tables.relay(request.giaddr).ok_or(Reason::Relay)?
    };
    let network = tables.network(network_id).ok_or(Reason::Link)?;
    let classes = tables.classes(network_id).ok_or(Reason::Link)?;

    let options = &mut scratch.options;
    options.walk(&datagram.options, fresh(&scratch.arrived.options_len), classes)?;
    if options.echoed.relay_info.is_there() && request.giaddr.is_zero() && link.flags & LINK_TRUSTED == 0 {
        return Err(Reason::RelayInfoUntrusted);
    }
    if options.message_type != DHCPREQUEST {
        return Err(Reason::MessageType);
    }
    scratch.asked = state_of(datagram, options, link, fresh(&scratch.arrived.by_unicast))?;
    let Asked { state, address } = fresh(&scratch.asked);
    if network.answers & state.flag() == 0 {
        return Err(Reason::StateNotAnswered);
    }

    let found = tables.lease(&LeaseKey { network: network_id, address }).ok_or(Reason::NoLease)?;
    let slot = tables.slot(found.slot).ok_or(Reason::NoLease)?;
    let control = Control::from_word(tables.load(&slot.control));
    let promise = Promise::from_word(tables.load(&slot.end));
    if !control.open || u32::from(control.generation) != found.generation || promise.address != address {
        return Err(Reason::Closed);
    }
    check_identity(tables, found.slot, slot, control, datagram, options)?;
    check_compared(tables, found.slot, datagram, options)?;

    let now = tables.boot_ns();
    let bounds = Bounds::from_word(tables.load(&slot.bounds));
    if BootSecs::begun(now) >= promise.end.max(bounds.promised) {
        return Err(Reason::Ended);
    }
    scratch.selectors.gather(&datagram.options, options)?;
    let template = find_template(tables, control, network.epoch, &scratch.selectors)?;
    let end = BootSecs::reached(now).plus(template.lease);
    if end > bounds.horizon {
        return Err(Reason::Horizon);
    }

    if reply::datagram_len(template, &options.echoed) > reply_max(options.max_message_size, link.mtu) {
        return Err(Reason::ReplyLength);
    }
    scratch.patches = Patches {
        ciaddr: request.ciaddr,
        yiaddr: address,
        server_id: if options.has(code::SERVER_ID) { options.server_id } else { scratch.arrived.local },
        lease: template.lease,
        force_broadcast_flag: false,
        to: Destination::of(request, ethernet.source, address),
    };
    Ok(Answer { slot, promise: Promise { end, address }, template, mac: link.mac })
}

impl Scratch {
    /// The counter of the request that was answered.
    #[inline(always)]
    pub fn answered(&self) -> Reason {
        fresh(&self.asked).state.answered()
    }
}

/// The longest reply, in octets of its IP datagram, for a client that sent `max_message_size` (option 57, 0 for
/// none) on a link with this MTU. RFC 2132 §9.10: what is below 576 counts as 576.
#[inline(always)]
pub fn reply_max(max_message_size: u16, mtu: u16) -> usize {
    usize::from(max_message_size).max(DATAGRAM_GUARANTEED).min(usize::from(mtu))
}

/// RFC 2131 table 4: the client's state, and the address that it names.
#[inline(always)]
fn state_of(datagram: &Datagram, options: &Options, link: &Link, by_unicast: bool) -> Result<Asked, Reason> {
    let ciaddr = datagram.dhcp.ciaddr;
    let requested = options.has(code::REQUESTED_ADDRESS);
    if options.has(code::SERVER_ID) {
        let [a, b, c, d] = link.addresses;
        let named = options.server_id;
        if named.is_zero() || !(named == a || named == b || named == c || named == d) {
            return Err(Reason::OtherServer);
        }
        if !requested || !ciaddr.is_zero() {
            return Err(Reason::State);
        }
        return Ok(Asked { state: State::Selecting, address: options.requested_address });
    }
    match (requested, ciaddr.is_zero()) {
        (true, true) => Ok(Asked { state: State::InitReboot, address: options.requested_address }),
        (false, false) if !by_unicast => Ok(Asked { state: State::Rebinding, address: ciaddr }),
        (false, false) => {
            // Through a relay the source is the relay's.
            if datagram.dhcp.giaddr.is_zero() && datagram.ip.source != ciaddr {
                return Err(Reason::IpSource);
            }
            Ok(Asked { state: State::Renewing, address: ciaddr })
        }
        _ => Err(Reason::State),
    }
}

/// Whether the slot holds the request's client: kind, length and bytes, compared whole.
#[inline(always)]
fn check_identity<T: Tables>(
    tables: &T,
    index: u32,
    slot: &Slot,
    control: Control,
    datagram: &Datagram,
    options: &Options,
) -> Result<(), Reason> {
    let id = &options.echoed.client_id;
    if !id.is_there() {
        let [a, b, c, d, e, f, ..] = slot.identity;
        let same = control.kind == IDENTITY_CHADDR
            && usize::from(control.len) == size_of::<Mac>()
            && datagram.dhcp.mac().0 == [a, b, c, d, e, f];
        return if same { Ok(()) } else { Err(Reason::Identity) };
    }
    if control.kind != IDENTITY_OPTION || u16::from(control.len) != id.len {
        return Err(Reason::Identity);
    }
    let same = if usize::from(id.len) <= IDENTITY_MAX {
        equal(&datagram.options, id, &slot.identity)
    } else {
        let key = SideKey { slot: index, code: u32::from(code::CLIENT_ID) };
        let side = tables.side(&key).ok_or(Reason::Identity)?;
        u16::from(side.len) == id.len && equal(&datagram.options, id, &side.bytes)
    };
    if same { Ok(()) } else { Err(Reason::Identity) }
}

/// Whether the compared options that the request has are those that are stored.
#[inline(always)]
fn check_compared<T: Tables>(
    tables: &T,
    slot: u32,
    datagram: &Datagram,
    options: &Options,
) -> Result<(), Reason> {
    for index in 0..COMPARED_OPTIONS_MAX {
        if index >= usize::from(options.compared_count) {
            break;
        }
        let kept = options.compared.get(index).ok_or(Reason::Compared)?;
        let key = SideKey { slot, code: u32::from(kept.code) };
        let side = tables.side(&key).ok_or(Reason::Compared)?;
        if u16::from(side.len) != kept.value.len || !equal(&datagram.options, &kept.value, &side.bytes) {
            return Err(Reason::Compared);
        }
    }
    Ok(())
}

/// Whether an option's value is what `stored` begins with.
#[inline(always)]
fn equal<const N: usize>(options: &[u8; OPTIONS_MAX], value: &Span, stored: &[u8; N]) -> bool {
    let Span { at, len } = fresh(value);
    for index in 0..N {
        if index >= usize::from(len) {
            return true;
        }
        if octet(options, usize::from(at) + index) != octet(stored, index) {
            return false;
        }
    }
    usize::from(len) <= N
}

/// The template of the slot's last answer, if it was made for this shape; else the shape's own.
#[inline(always)]
fn find_template<'a, T: Tables>(
    tables: &'a T,
    control: Control,
    epoch: u32,
    selectors: &Selectors,
) -> Result<&'a Template, Reason> {
    let profile = u32::from(control.profile);
    if control.template != NO_TEMPLATE {
        let last = tables.template(u32::from(control.template)).ok_or(Reason::NoTemplate)?;
        if last.epoch == epoch && last.profile == profile && selectors.are_those_of(last) {
            return Ok(last);
        }
    }
    let id = tables.shape(&ShapeKey { hash: selectors.hash(), profile, epoch }).ok_or(Reason::NoTemplate)?;
    let shape = tables.template(id).ok_or(Reason::NoTemplate)?;
    if shape.epoch == epoch && shape.profile == profile && selectors.are_those_of(shape) {
        Ok(shape)
    } else {
        Err(Reason::NoTemplate)
    }
}
