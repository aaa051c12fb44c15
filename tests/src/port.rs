//! A raw port into a segment: whole frames in and out, past the host's own stack. Owns the packet socket and its
//! waiting; knows replies only far enough to tell them from other traffic.

use std::{
    io::{self, Read as _},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    encode::Reply,
    lab::{Namespace, packet_address},
};

/// How long one try waits for its answer. Generous, because tests share two cores and a server may look for
/// conflicts before it offers.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How often a request is sent before a test gives up.
pub const TRIES: usize = 6;

/// Enough for the answers of a whole window, with the kernel's overhead per frame.
const RECEIVE_BUFFER: usize = 32 << 20;

/// A packet socket on one interface, for any number of hardware addresses.
#[derive(Debug)]
pub struct Port {
    socket: Socket,
}

impl Port {
    /// Opens the port.
    ///
    /// # Panics
    /// Without the privilege: a test that can't run fails.
    #[must_use]
    pub fn open(namespace: &Namespace, interface: &str) -> Self {
        // The addresses of simulated clients are not the interface's.
        namespace.ip(&format!("link set {interface} promisc on"));
        let ifindex = namespace.ifindex(interface);
        let open = || -> io::Result<Socket> {
            // Protocol 0 receives nothing until the socket is bound to its interface.
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
            nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
            socket.bind(&packet_address(ifindex)?)?;
            Ok(socket)
        };
        Self { socket: namespace.run(open).expect("a packet socket") }
    }

    /// Sends a frame.
    ///
    /// # Panics
    /// If the kernel does not take it within [`PATIENCE`].
    pub fn send(&self, frame: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.socket.send(frame) {
                Ok(count) if count == frame.len() => return,
                // The far end's ring is full, or its device's queue.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(1));
                }
                other => panic!("sending {} octets: {other:?}", frame.len()),
            }
        }
    }

    /// The next frame from a DHCP server, or `None` at the deadline.
    ///
    /// # Panics
    /// If the frame has a fault: no test wants such a reply.
    pub fn receive(&self, deadline: Instant) -> Option<Reply> {
        loop {
            let frame = self.receive_frame(deadline)?;
            if Reply::is_from_server(&frame) {
                return Some(Reply::parse(&frame).unwrap_or_else(|fault| panic!("{fault} in {frame:02x?}")));
            }
        }
    }

    /// The next reply with that `xid`, or `None` at the deadline; others are dropped.
    pub fn receive_for(&self, xid: u32, deadline: Instant) -> Option<Reply> {
        loop {
            let reply = self.receive(deadline)?;
            if reply.message.xid == xid {
                return Some(reply);
            }
        }
    }

    /// Sends a frame up to [`TRIES`] times and returns the first answer to that `xid`.
    pub fn exchange(&self, frame: &[u8], xid: u32) -> Option<Reply> {
        (0..TRIES).find_map(|_| {
            self.send(frame);
            self.receive_for(xid, Instant::now() + PATIENCE)
        })
    }

    /// The next frame of any kind, or `None` at the deadline.
    pub(crate) fn receive_frame(&self, deadline: Instant) -> Option<Vec<u8>> {
        // A timeout of zero would mean none.
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
        self.socket.set_read_timeout(Some(left)).expect("a timeout");
        let mut buffer = [0; 2048];
        match (&self.socket).read(&mut buffer) {
            Ok(count) => Some(buffer[..count].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("receiving: {error}"),
        }
    }
}
