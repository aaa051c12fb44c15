//! The XDP program's entry and its hands on the packet: with `maps.rs` the only unsafe room of the kernel side. It
//! decides nothing: that is the library's.
#![expect(unsafe_code, reason = "packet memory, per-CPU memory and helpers are raw pointers here")]

use crate::maps::Maps;
use aya_ebpf::{
    bindings::xdp_action,
    helpers::{
        bpf_xdp_adjust_head,
        generated::{bpf_xdp_load_bytes, bpf_xdp_store_bytes},
    },
    macros::{map, xdp},
    maps::PerCpuArray,
    programs::XdpContext,
};
use core::{ffi::c_void, hint::black_box};
use dhcp_ebpf::{
    abi::{Promise, Slot},
    decide::{self, Scratch},
    reason::Reason,
    reply,
    wire::{
        DATAGRAM_MAX, DHCP_AT, Datagram,
        ethernet::{self, Ethernet, HEAD_LEN, HEADER_MAX, UNTAGGED_LEN},
        fresh,
    },
};

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Reason::ALL.len() as u32, 0);
#[map]
static WORK: PerCpuArray<Work> = PerCpuArray::with_max_entries(1, 0);

/// What one packet's processing needs and the stack has no room for.
struct Work {
    request: Datagram,
    reply: Datagram,
    scratch: Scratch,
    ethernet: Ethernet,
    /// The frame's Ethernet header, tags included.
    header: [u8; HEADER_MAX],
}

/// Answers the DHCPREQUESTs whose answer is already decided; passes everything else.
#[xdp]
#[expect(clippy::needless_pass_by_value, reason = "aya's entry makes the context and gives it away")]
fn dhcp(context: XdpContext) -> u32 {
    let (reason, action) = match answer(&context) {
        Ok(reason) => (reason, xdp_action::XDP_TX),
        Err(reason) => (reason, xdp_action::XDP_PASS),
    };
    if let Some(counter) = COUNTERS.get_ptr_mut(reason as u32) {
        // SAFETY: the element is this CPU's own, and XDP does not preempt itself.
        unsafe { *counter += 1 };
    }
    action
}

#[inline(always)]
fn answer(context: &XdpContext) -> Result<Reason, Reason> {
    let head = head(context).ok_or(Reason::NotDhcp)?;
    let ethernet = Ethernet::of_dhcp(head).ok_or(Reason::NotDhcp)?;
    let work = WORK.get_ptr_mut(0).ok_or(Reason::Frame)?;
    // SAFETY: the element is this CPU's own, XDP does not preempt itself, and there is no other reference to it.
    let work = unsafe { &mut *work };
    work.ethernet = ethernet;

    let header_len = fresh(&work.ethernet.len);
    load(context, 0, work.header.as_mut_ptr().cast(), header_len.clamp(UNTAGGED_LEN, HEADER_MAX))?;
    let len = (context.data_end() - context.data()).checked_sub(header_len).ok_or(Reason::FrameLength)?;
    let request = core::ptr::from_mut(&mut work.request).cast();
    load(context, header_len, request, bounded(len).ok_or(Reason::FrameLength)?)?;

    // SAFETY: every field of a context is readable for the program's whole run.
    let ifindex = unsafe { (*context.ctx).ingress_ifindex };
    let answer = decide::decide(&Maps, ifindex, &work.ethernet, &work.request, len, &mut work.scratch)?;
    let Scratch { patches, options, .. } = black_box(&work.scratch);
    let reply_len = reply::write(&mut work.reply, &work.request, answer.template, patches, &options.echoed)
        .ok_or(Reason::ReplyLength)?;

    let growth = i32::from(reply_len) - len as i32;
    fit(context, growth)?;
    extend(answer.slot, answer.promise);
    ethernet::address(&mut work.header, work.scratch.patches.to.mac, answer.mac);
    if put_in_place(context, work, usize::from(reply_len)).is_err() {
        // The end that was extended is promised to nobody: it only lets the lease end later.
        fit(context, -growth)?;
        return Err(Reason::Frame);
    }
    Ok(work.scratch.answered())
}

/// The first octets of the frame, in place.
#[inline(always)]
fn head(context: &XdpContext) -> Option<&[u8; HEAD_LEN]> {
    let start = context.data();
    if start + HEAD_LEN > context.data_end() {
        return None;
    }
    // SAFETY: the bounds were checked above, in the form that the verifier follows, and octets have no alignment.
    Some(unsafe { &*(start as *const [u8; HEAD_LEN]) })
}

/// A length that the copying helpers take: no datagram is shorter than its headers, or longer than its buffer.
#[inline(always)]
fn bounded(len: usize) -> Option<usize> {
    // The boxes: LLVM drops a comparison whose outcome it knows from elsewhere, and makes one of two, on a register
    // that is not the one it passes on. The verifier needs to see both, Linux 6.1's as other than one with 0.
    let len = black_box(len);
    if len > DATAGRAM_MAX {
        return None;
    }
    let len = black_box(len);
    if len < DHCP_AT { None } else { Some(len) }
}

/// Copies `len` octets from `offset` of the frame on.
#[inline(always)]
fn load(context: &XdpContext, offset: usize, to: *mut c_void, len: usize) -> Result<(), Reason> {
    // SAFETY: the callers' `len` is at most the size of what `to` points to, in which any octets are valid.
    let failed = unsafe { bpf_xdp_load_bytes(context.ctx, offset as u32, to, len as u32) };
    // Fails where the frame has more buffers than one and the program was not told.
    if failed == 0 { Ok(()) } else { Err(Reason::FrameLength) }
}

/// More than this can't be grown on every driver: veth keeps 40 of XDP's 256 octets of headroom.
const GROWTH_MAX: i32 = 216;

/// Makes the frame `growth` octets longer (or shorter) at its head. Growing at the tail is refused by veth since
/// Linux 6.12; at the head it works everywhere, and the headers are written anew anyway.
#[inline(always)]
fn fit(context: &XdpContext, growth: i32) -> Result<(), Reason> {
    if growth == 0 {
        return Ok(());
    }
    if growth > GROWTH_MAX {
        return Err(Reason::Growth);
    }
    // SAFETY: the helper checks the bounds itself; no reference into the packet lives on.
    let failed = unsafe { bpf_xdp_adjust_head(context.ctx, -growth) };
    if failed == 0 { Ok(()) } else { Err(Reason::Frame) }
}

/// Promises the lease's new end: the one word of a slot that is the kernel's.
///
/// The target has no compare-and-swap, so two requests of one client on two CPUs at once can leave the earlier
/// end of the two, by less than the time between them: the slack that user space waits before it takes a lease
/// for ended covers it.
#[inline(always)]
fn extend(slot: &Slot, promise: Promise) {
    // SAFETY: the pointer is an atomic's own; one aligned store of eight octets is one access on every target.
    unsafe { slot.end.as_ptr().write_volatile(promise.to_word()) }
}

/// Writes Ethernet header and reply over the fitted frame.
#[inline(always)]
fn put_in_place(context: &XdpContext, work: &Work, reply_len: usize) -> Result<(), ()> {
    let header_len = fresh(&work.ethernet.len).clamp(UNTAGGED_LEN, HEADER_MAX);
    let reply_len = bounded(reply_len).ok_or(())?;
    store(context, 0, work.header.as_ptr().cast(), header_len)?;
    store(context, header_len, core::ptr::from_ref(&work.reply).cast(), reply_len)
}

/// Writes `len` octets to `offset` of the frame.
#[inline(always)]
fn store(context: &XdpContext, offset: usize, from: *const c_void, len: usize) -> Result<(), ()> {
    // SAFETY: the callers' `len` is at most what `from` points to; the helper checks the frame's bounds.
    let failed = unsafe { bpf_xdp_store_bytes(context.ctx, offset as u32, from.cast_mut(), len as u32) };
    if failed == 0 { Ok(()) } else { Err(()) }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel lends its GPL-only helpers to this licence; the object is under either of the two.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
