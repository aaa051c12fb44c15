//! The daemon's two sockets on the served interface: [`FrameSocket`], which carries all of DHCP, and [`Sink`],
//! which holds port 67 so that the host's stack stays silent. Must not know what a frame says.

use crate::{
    interface::Interface,
    sys::{
        packet::{Batch, Counters, PacketSocket},
        sockopt,
    },
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
};
use tokio::io::{Interest, unix::AsyncFd};
use tracing::warn;

/// The port of DHCP servers.
const PORT: u16 = 67;

/// A socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// No packet socket.
    #[error(
        "cannot open a packet socket on {interface}: {source}; it needs root, or CAP_NET_RAW and CAP_NET_ADMIN"
    )]
    Packet {
        /// The interface.
        interface: String,
        /// Why.
        source: io::Error,
    },
    /// Somebody serves already.
    #[error(
        "UDP port 67 (0.0.0.0:67 on {interface}) is taken, probably by another DHCP server on this host; stop that \
         one (`ss --udp --listening --processes 'sport = :67'` names it) and start again"
    )]
    PortTaken {
        /// The interface.
        interface: String,
    },
    /// No socket on port 67 for another reason.
    #[error(
        "cannot hold UDP port 67 on {interface}: {source}; it needs root, or CAP_NET_BIND_SERVICE and CAP_NET_RAW"
    )]
    Port {
        /// The interface.
        interface: String,
        /// Why.
        source: io::Error,
    },
}

/// A [`PacketSocket`] for the event loop.
pub struct FrameSocket {
    inner: AsyncFd<PacketSocket>,
}

impl FrameSocket {
    /// Opens one on `interface`. Must be called within a tokio runtime.
    pub fn open(interface: &Interface) -> Result<Self, SocketError> {
        PacketSocket::open(interface.index)
            .and_then(PacketSocket::register)
            .map(|inner| Self { inner })
            .map_err(|source| SocketError::Packet { interface: interface.name.clone(), source })
    }

    /// Waits for frames; otherwise as [`PacketSocket::receive`]. Nothing is lost where the future is dropped.
    pub async fn receive(&self, batch: &mut Batch) -> io::Result<usize> {
        self.inner.async_io(Interest::READABLE, |socket| socket.receive(batch)).await
    }

    /// Sends all frames in their order, waiting for room where there is none, and says how many the kernel
    /// refused. A refused frame is lost, as on a wire: its client asks again.
    pub async fn send_all(&self, frames: &[impl AsRef<[u8]>]) -> usize {
        let mut waiting = frames;
        let mut refused = 0;
        while !waiting.is_empty() {
            let sent = self.inner.async_io(Interest::WRITABLE, |socket| socket.send_batch(waiting)).await;
            let done = sent.unwrap_or_else(|error| {
                warn!(%error, "a frame could not be sent");
                refused += 1;
                1
            });
            waiting = waiting.get(done..).unwrap_or_default();
        }
        refused
    }

    /// What came and what was lost since the socket was opened.
    pub fn counters(&self) -> io::Result<Counters> {
        self.inner.get_ref().counters()
    }
}

/// A UDP socket on port 67 that refuses every datagram. The fast path passes what it does not answer, so all of it
/// reaches the host's stack too, which answers with ICMP port unreachable where nothing holds the port; and the
/// client would take its server for dead.
pub struct Sink {
    socket: Socket,
}

impl Sink {
    /// Takes the port on the interface called `interface`.
    pub fn open(interface: &str) -> Result<Self, SocketError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => SocketError::PortTaken { interface: interface.to_owned() },
            _ => SocketError::Port { interface: interface.to_owned(), source },
        };
        refusing_socket(interface).map(|socket| Self { socket }).map_err(failed)
    }

    /// How many datagrams it has refused since it was opened; the count wraps.
    pub fn refused(&self) -> io::Result<u32> {
        sockopt::drops(&self.socket)
    }
}

fn refusing_socket(interface: &str) -> io::Result<Socket> {
    let refuse_all = SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0);
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
    socket.attach_filter(&[refuse_all])?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT).into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testnet::{Namespace, await_running, index, ip};
    use dhcp_ebpf::abi::Mac;
    use std::{net::UdpSocket, time::Duration};

    /// A veth to a namespace of its own: our end has 192.0.2.1, the other 192.0.2.2.
    fn wire() -> (Namespace, Namespace) {
        let (here, there) = (Namespace::new(), Namespace::new());
        let path = there.path();
        here.run(|| {
            ip(&format!("link add v0 type veth peer name v1 netns {path}"));
            ip("address add 192.0.2.1/24 dev v0");
            ip("link set v0 up");
        });
        there.run(|| {
            ip("address add 192.0.2.2/24 dev v1");
            ip("link set v1 up");
        });
        here.run(|| await_running("v0"));
        (here, there)
    }

    /// What a client's socket hears after a datagram to our port 67.
    fn answer(there: &Namespace) -> io::ErrorKind {
        there.run(|| {
            let client = UdpSocket::bind("192.0.2.2:68").unwrap();
            client.connect("192.0.2.1:67").unwrap();
            client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            client.send(b"request").unwrap();
            client.recv(&mut [0; 16]).unwrap_err().kind()
        })
    }

    /// A broadcast UDP datagram to port 67, as far as a packet socket looks.
    fn request(from: Mac) -> Vec<u8> {
        let ethernet = [&[0xff; 6], &from.0[..], &[8, 0]].concat();
        let ip = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 255, 255, 255, 255];
        [&ethernet[..], &ip, &[0, 68, 0, 67, 0, 8, 0, 0]].concat()
    }

    #[test]
    fn the_sink_keeps_the_stack_silent() {
        let (here, there) = wire();
        assert_eq!(answer(&there), io::ErrorKind::ConnectionRefused);
        let sink = here.run(|| Sink::open("v0").unwrap());
        assert_eq!(sink.refused().unwrap(), 0);
        assert_eq!(answer(&there), io::ErrorKind::WouldBlock);
        assert_eq!(sink.refused().unwrap(), 1);
    }

    #[test]
    fn a_taken_port_is_told_in_words() {
        for taken in ["0.0.0.0:67", "192.0.2.1:67"] {
            let (here, _there) = wire();
            here.run(|| {
                let _other = UdpSocket::bind(taken).unwrap();
                let error = Sink::open("v0").err().unwrap().to_string();
                assert!(error.starts_with("UDP port 67 (0.0.0.0:67 on v0) is taken"), "{error}");
                assert!(matches!(Sink::open("v9").err().unwrap(), SocketError::Port { .. }));
            });
        }
    }

    #[test]
    fn frames_are_awaited() {
        let (here, there) = wire();
        here.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let interface = Interface::find("v0").await.unwrap();
                let socket = FrameSocket::open(&interface).unwrap();
                let mut batch = Batch::for_mtu(interface.mtu);
                let soon = Duration::from_millis(50);
                assert!(tokio::time::timeout(soon, socket.receive(&mut batch)).await.is_err());
                there.run(|| {
                    UdpSocket::bind("192.0.2.2:68").unwrap().send_to(b"request", "192.0.2.1:67").unwrap();
                });
                let late = Duration::from_secs(5);
                assert_eq!(tokio::time::timeout(late, socket.receive(&mut batch)).await.unwrap().unwrap(), 1);
                assert!(batch.frames().next().unwrap().bytes.ends_with(b"request"));
                assert_eq!(socket.counters().unwrap().received, 1);
            });
        });
    }

    #[test]
    fn a_refused_frame_does_not_hold_up_the_others() {
        let (here, there) = wire();
        here.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let interface = Interface::find("v0").await.unwrap();
                let socket = FrameSocket::open(&interface).unwrap();
                let peer = there.run(|| PacketSocket::open(index("v1")).unwrap());
                let datagram = request(interface.mac);
                let too_long = vec![0; interface.mtu as usize + 100];
                let mut frames = vec![datagram.clone(); 150];
                frames.insert(0, too_long.clone());
                frames.insert(70, too_long);
                assert_eq!(socket.send_all(&frames).await, 2);
                assert_eq!(peer.counters().unwrap().received, 150);
            });
        });
    }
}
