//! A segment with a running server and a raw port into it: what most end-to-end tests begin with. Owns the wiring
//! and the questions that many tests ask; decides nothing about the answers.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use crate::{
    client::Client,
    daemon::{Daemon, Setup},
    encode::{BROADCAST_MAC, Frame, Reply, kind, option},
    lab::Lan,
    port::{PATIENCE, Port, TRIES},
};

/// How long after a later message was answered an answer to an earlier one would still be noticed: an offer may
/// wait for a conflict probe.
const ECHO: Duration = Duration::from_millis(1500);
/// The number of the next client that only asks whether the server answers: beyond those of any test's own.
static NEXT_PROBE: AtomicU32 = AtomicU32::new(900_000);

/// A server at [`Site::SERVER`] and a port among its clients.
#[derive(Debug)]
pub struct Site {
    /// The server.
    pub daemon: Daemon,
    /// The raw port.
    pub port: Port,
    /// The segment; last, for the others stand on it.
    pub lan: Lan,
}

impl Site {
    /// The server's address; the prefix is 10.9.0.0/16.
    pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);

    /// A server in native mode with this pool and these lines beside it in its `[subnet]`, and with whatever
    /// tables they begin after that.
    #[must_use]
    pub fn new(pool: &str, lines: &str) -> Self {
        Self::in_mode("native", pool, lines)
    }

    /// The same in another `--mode`.
    #[must_use]
    pub fn in_mode(mode: &str, pool: &str, lines: &str) -> Self {
        let lan = Lan::new(&format!("{}/16", Self::SERVER));
        let config = format!(
            "[subnet]\nprefix = \"10.9.0.0/16\"\npools = [\"{pool}\"]\nrouter = \"10.9.0.1\"\n\
             dns = [\"10.9.0.53\"]\ndomain = \"lab.example\"\n{lines}\n"
        );
        let setup = Setup { interface: Lan::SERVER, config: &config, mode };
        let daemon = Daemon::start(&lan.server, setup);
        let port = Port::open(&lan.clients, Lan::CLIENTS);
        Self { daemon, port, lan }
    }

    /// The client, with a lease.
    pub fn leased(&self, client: Client) -> Client {
        let mut client = client;
        client.acquire(&self.port);
        client
    }

    /// Sends a frame and asserts that the server does not answer that `xid`: it must answer an INFORM that comes
    /// later, and nothing to the frame until then or shortly after.
    ///
    /// # Panics
    /// If it answers the frame, or does not answer the INFORM.
    pub fn assert_silent(&self, frame: &[u8], xid: u32) {
        self.port.send(frame);
        let mut probe = Client::new(NEXT_PROBE.fetch_add(1, Relaxed));
        let inform = probe.inform(Ipv4Addr::new(10, 9, 255, 250));
        let mut tries = 0;
        let mut deadline = Instant::now();
        let mut answered = false;
        loop {
            match self.port.receive(deadline) {
                Some(reply) if reply.message.xid == xid => panic!("an answer: {reply:?}"),
                Some(reply) if reply.message.xid == probe.xid && !answered => {
                    answered = true;
                    deadline = Instant::now() + ECHO;
                }
                Some(_) => {}
                None if answered => return,
                None => {
                    assert!(tries < TRIES, "the server answers nothing at all");
                    tries += 1;
                    self.port.send(&probe.broadcast(&inform).encode());
                    deadline = Instant::now() + PATIENCE;
                }
            }
        }
    }

    /// Sends a frame that must be answered.
    ///
    /// # Panics
    /// If it is not.
    pub fn answer(&self, client: &Client, frame: &Frame) -> Reply {
        client.ask(&self.port, frame).expect("an answer")
    }

    /// Sends a frame once; an answer may come or not.
    pub fn try_once(&self, client: &Client, frame: &Frame) -> Option<Reply> {
        self.port.send(&frame.encode());
        self.port.receive_for(client.xid, Instant::now() + ECHO)
    }

    /// Gives a client's lease back and waits until the server has taken it: a RELEASE has no answer.
    ///
    /// # Panics
    /// If the server keeps it.
    pub fn release(&self, client: &mut Client) {
        let release = client.release();
        self.port.send(&client.unicast(&release).encode());
        self.wait_until_free(client.held().address);
    }

    /// Waits until the server no longer shows the address as bound.
    ///
    /// # Panics
    /// If it goes on.
    pub fn wait_until_free(&self, address: Ipv4Addr) {
        let deadline = Instant::now() + PATIENCE * 6;
        while self.daemon.is_bound(address) {
            assert!(Instant::now() < deadline, "{address} is still bound: {:?}", self.daemon.leases());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Renews a lease by unicast, whichever path answers.
    ///
    /// # Panics
    /// If it is not acknowledged.
    pub fn renew(&self, client: &mut Client) -> Reply {
        let frame = client.renewing();
        let ack = self.answer(client, &frame);
        client.accept(&ack);
        ack
    }

    /// Sends a renewal by unicast that the fast path must answer with an ACK, and the slow path must not see.
    ///
    /// # Panics
    /// If another path answers, or otherwise.
    pub fn renew_in_kernel(&self, client: &mut Client) -> Reply {
        let before = self.daemon.stats();
        let ack = self.renew(client);
        let after = self.daemon.stats();
        assert!(
            after.fast("ack-renewing") > before.fast("ack-renewing"),
            "not answered in the kernel: {after:?}"
        );
        assert_eq!(after.slow("request"), before.slow("request"), "the daemon saw the renewal");
        ack
    }

    /// Sends a DHCPDISCOVER that must not be offered anything: there is no address left.
    pub fn assert_no_offer(&self, client: &mut Client) {
        let discover = client.discover();
        self.assert_silent(&client.broadcast(&discover).encode(), client.xid);
    }

    /// Sends a frame that must be refused.
    ///
    /// # Panics
    /// If it is not, or if the NAK is not as RFC 2131 table 3 has it.
    pub fn assert_nak(&self, client: &Client, frame: &Frame) {
        let reply = self.answer(client, frame);
        let message = &reply.message;
        assert_eq!(message.kind(), kind::NAK, "{message:?}");
        let none = Ipv4Addr::UNSPECIFIED;
        assert_eq!((message.ciaddr, message.yiaddr, message.siaddr), (none, none, none));
        assert_eq!(message.address_option(option::SERVER_IDENTIFIER), Some(Self::SERVER));
        assert_eq!(message.option(option::LEASE_TIME), None);
        // §4.1: "the server broadcasts any DHCPNAK messages to 0xffffffff".
        assert_eq!((reply.dst, reply.dst_mac), (Ipv4Addr::BROADCAST, BROADCAST_MAC));
    }
}
