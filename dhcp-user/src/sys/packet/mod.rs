//! A packet socket on one interface: whole frames in batches, in and out, with what the kernel knows about each.
//! Owns which frames come up (IPv4 UDP to port 67, see `filter`); must not look into one otherwise.

#![expect(unsafe_code, reason = "recvmmsg(2), sendmmsg(2) and control messages take pointers")]

mod filter;

use super::sockopt;
use libc::{cmsghdr, iovec, mmsghdr, sockaddr_ll, socklen_t, tpacket_auxdata};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    array, io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    ptr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::io::unix::AsyncFd;

/// How many frames one system call moves.
pub const BATCH: usize = 64;

/// Octets of an Ethernet header with two VLAN tags.
const LINK_HEADERS: usize = 14 + 2 * 4;

/// Room for a rack that asks at once: ten thousand requests, as the kernel accounts them.
const RECEIVE_BUFFER: usize = 16 << 20;

/// A control message of PACKET_AUXDATA, the only one that this socket asks for. All zero is none.
#[repr(C)]
#[derive(Clone, Copy)]
struct Control {
    header: cmsghdr,
    auxdata: tpacket_auxdata,
}

impl Control {
    const EMPTY: Self = Self {
        header: cmsghdr { cmsg_len: 0, cmsg_level: 0, cmsg_type: 0 },
        auxdata: tpacket_auxdata {
            tp_status: 0,
            tp_len: 0,
            tp_snaplen: 0,
            tp_mac: 0,
            tp_net: 0,
            tp_vlan_tci: 0,
            tp_vlan_tpid: 0,
        },
    };

    fn auxdata(&self) -> Option<&tpacket_auxdata> {
        let is_auxdata =
            self.header.cmsg_level == libc::SOL_PACKET && self.header.cmsg_type == libc::PACKET_AUXDATA;
        is_auxdata.then_some(&self.auxdata)
    }
}

/// Whom a frame was sent to, as the receiving interface saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The interface's own address.
    Host,
    /// All stations.
    Broadcast,
    /// A group.
    Multicast,
    /// Another station: the frame came by promiscuous mode, or by flooding.
    OtherHost,
}

/// What the kernel knows about a frame's transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing: it is to be verified.
    Unknown,
    /// It was verified.
    Verified,
    /// A sender on this host left it to hardware that the frame never met: the field holds the pseudo-header's
    /// sum alone, and nothing can have damaged the frame.
    Unfinished,
}

/// A VLAN tag that the kernel has taken out of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// Its EtherType, host byte order.
    pub tpid: u16,
    /// Priority, drop eligibility and identifier, host byte order.
    pub tci: u16,
}

/// A frame received.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The frame from its destination address on, without [`vlan`](Self::vlan).
    pub bytes: &'a [u8],
    /// Octets that the frame had; more than there are [`bytes`](Self::bytes) where it did not fit.
    pub original_len: usize,
    /// Whom it was sent to.
    pub destination: Destination,
    /// What is known about its checksum.
    pub checksum: Checksum,
    /// The outer VLAN tag; an inner one is still in the frame.
    pub vlan: Option<VlanTag>,
}

/// Frames received and packets dropped since the socket was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that the filter let through and that found room.
    pub received: u64,
    /// Frames that the filter let through and that found no room.
    pub dropped: u64,
}

/// Buffers for [`PacketSocket::receive`], and the frames that it put there.
pub struct Batch {
    frame_max: usize,
    bytes: Vec<u8>,
    frames: Vec<Received>,
}

/// [`Frame`] without its bytes.
struct Received {
    len: usize,
    original_len: usize,
    destination: Destination,
    checksum: Checksum,
    vlan: Option<VlanTag>,
}

impl Batch {
    /// Buffers for an interface that carries IP datagrams of `mtu` octets.
    pub fn for_mtu(mtu: u32) -> Self {
        let frame_max = mtu as usize + LINK_HEADERS;
        Self { frame_max, bytes: vec![0; frame_max * BATCH], frames: Vec::with_capacity(BATCH) }
    }

    /// The frames of the last receive, in their order.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.bytes.chunks_exact(self.frame_max).zip(&self.frames).map(|(buffer, received)| Frame {
            bytes: buffer.get(..received.len).unwrap_or(buffer),
            original_len: received.original_len,
            destination: received.destination,
            checksum: received.checksum,
            vlan: received.vlan,
        })
    }
}

/// A non-blocking packet socket that receives DHCP requests on one interface and sends anything.
pub struct PacketSocket {
    socket: Socket,
    received: AtomicU64,
    dropped: AtomicU64,
}

impl PacketSocket {
    /// Opens one on the interface with this index.
    pub fn open(interface: u32) -> io::Result<Self> {
        // Protocol 0 receives nothing before the filter is in place; `bind` switches reception on.
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = Socket::new(Domain::PACKET, kind, Some(Protocol::from(0)))?;
        socket.attach_filter(&filter::DHCP_REQUESTS)?;
        sockopt::set(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
        sockopt::set(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER)?;
        bind(&socket, interface)?;
        Ok(Self { socket, received: AtomicU64::new(0), dropped: AtomicU64::new(0) })
    }

    /// Hands the socket to the tokio runtime that this is called in.
    pub fn register(self) -> io::Result<AsyncFd<Self>> {
        // SAFETY: `as_raw_fd` gives the descriptor of a socket that is private, never replaced, and closed only
        // when this value is dropped.
        Ok(unsafe { AsyncFd::register(self) }?)
    }

    /// Replaces the batch's frames by those that wait, at most [`BATCH`], and says how many there are.
    /// `WouldBlock` where none waits; `ENETDOWN` once after the interface went down, after which the socket
    /// works as soon as the interface does.
    pub fn receive(&self, batch: &mut Batch) -> io::Result<usize> {
        batch.frames.clear();
        let mut names: [sockaddr_ll; BATCH] = array::from_fn(|_| link_address(0));
        let mut controls = [Control::EMPTY; BATCH];
        let mut buffers = batch.bytes.chunks_exact_mut(batch.frame_max);
        let mut vectors: [iovec; BATCH] = array::from_fn(|_| vector(buffers.next().unwrap_or_default()));
        let mut messages: [mmsghdr; BATCH] = array::from_fn(|_| empty_message());
        for (((message, name), control), vector) in
            messages.iter_mut().zip(&mut names).zip(&mut controls).zip(&mut vectors)
        {
            message.msg_hdr.msg_name = ptr::from_mut(name).cast();
            message.msg_hdr.msg_namelen = size_of_val(name) as socklen_t;
            message.msg_hdr.msg_control = ptr::from_mut(control).cast();
            message.msg_hdr.msg_controllen = size_of_val(control) as _;
            message.msg_hdr.msg_iov = vector;
            message.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: every message points to a name, a control buffer and a vector of the stated sizes, and every
        // vector to a buffer of its own; all of them outlive the call and nothing else uses them meanwhile; any
        // octets are valid in each.
        let count = unsafe {
            libc::recvmmsg(self.socket.as_raw_fd(), messages.as_mut_ptr(), BATCH as _, 0, ptr::null_mut())
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        let filled = messages.iter().zip(&names).zip(&controls).take(count);
        batch.frames.extend(filled.map(|((message, name), control)| received(message, name, control)));
        Ok(count)
    }

    /// Sends one whole frame.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).map(drop)
    }

    /// Sends the first of `frames`, at most [`BATCH`], and says how many the kernel took: the error, if there is
    /// one, is the first frame's.
    pub fn send_batch(&self, frames: &[impl AsRef<[u8]>]) -> io::Result<usize> {
        let mut waiting = frames.iter();
        let count = frames.len().min(BATCH);
        let mut vectors: [iovec; BATCH] = array::from_fn(|_| {
            let frame = waiting.next().map(AsRef::as_ref).unwrap_or_default();
            iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() }
        });
        let mut messages: [mmsghdr; BATCH] = array::from_fn(|_| empty_message());
        for (message, vector) in messages.iter_mut().zip(&mut vectors) {
            message.msg_hdr.msg_iov = vector;
            message.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: the first `count` messages point to a vector each and these to the frames, all of which outlive
        // the call; sending does not write through `iov_base`.
        let sent = unsafe { libc::sendmmsg(self.socket.as_raw_fd(), messages.as_mut_ptr(), count as _, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// What came and what was lost since the socket was opened.
    pub fn counters(&self) -> io::Result<Counters> {
        // The kernel's counts start again with each reading, and its packets include the drops.
        let [packets, drops] =
            sockopt::words(self.socket.as_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        let add = |sum: &AtomicU64, more: u32| sum.fetch_add(u64::from(more), Relaxed) + u64::from(more);
        Ok(Counters {
            received: add(&self.received, packets.saturating_sub(drops)),
            dropped: add(&self.dropped, drops),
        })
    }
}

impl AsRawFd for PacketSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// ETH_P_ALL: a socket of ETH_P_IP would see tagged frames after the kernel has forgotten their tag.
fn link_address(interface: u32) -> sockaddr_ll {
    sockaddr_ll {
        sll_family: libc::AF_PACKET as _,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: interface.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}

fn bind(socket: &Socket, interface: u32) -> io::Result<()> {
    let address = link_address(interface);
    // SAFETY: the kernel reads as many octets as `address` has.
    let result = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as socklen_t)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn vector(buffer: &mut [u8]) -> iovec {
    iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() }
}

fn empty_message() -> mmsghdr {
    // SAFETY: a message of zeros is one without name, vectors and control messages.
    unsafe { mem::zeroed() }
}

fn received(message: &mmsghdr, name: &sockaddr_ll, control: &Control) -> Received {
    let len = message.msg_len as usize;
    let auxdata = control.auxdata();
    let status = auxdata.map_or(0, |auxdata| auxdata.tp_status);
    Received {
        len,
        original_len: auxdata.map_or(len, |auxdata| auxdata.tp_len as usize),
        destination: match name.sll_pkttype {
            libc::PACKET_HOST => Destination::Host,
            libc::PACKET_BROADCAST => Destination::Broadcast,
            libc::PACKET_MULTICAST => Destination::Multicast,
            _ => Destination::OtherHost,
        },
        checksum: if status & libc::TP_STATUS_CSUMNOTREADY != 0 {
            Checksum::Unfinished
        } else if status & libc::TP_STATUS_CSUM_VALID != 0 {
            Checksum::Verified
        } else {
            Checksum::Unknown
        },
        vlan: auxdata
            .filter(|_| status & libc::TP_STATUS_VLAN_VALID != 0)
            .map(|auxdata| VlanTag { tpid: auxdata.tp_vlan_tpid, tci: auxdata.tp_vlan_tci }),
    }
}

#[cfg(test)]
mod tests;
