//! Many raw clients behind one port, a bounded number of them in flight. Owns the window, the retransmissions and
//! the tally; each client's messages are [`Client`]'s.

use std::{
    collections::{BTreeSet, HashMap},
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use crate::{
    client::Client,
    encode::{Frame, Reply, kind},
    port::{PATIENCE, Port, TRIES},
};

/// How often the waiting requests are looked through.
const SWEEP: Duration = Duration::from_millis(100);

/// Clients that do the same thing together.
#[derive(Debug)]
pub struct Herd {
    /// The clients.
    pub clients: Vec<Client>,
    /// How many of them wait for an answer at a time.
    pub window: usize,
}

/// What a run has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames, retransmissions included.
    pub sent: u64,
    /// Frames that were sent again because no answer had come.
    pub again: u64,
}

/// A request that waits for its answer.
struct Pending {
    client: usize,
    frame: Vec<u8>,
    tries: usize,
    due: Instant,
}

impl Herd {
    /// Clients with the numbers 1 to `count`.
    #[must_use]
    pub fn new(count: u32, window: usize) -> Self {
        Self { clients: (1..=count).map(Client::new).collect(), window }
    }

    /// Every client gets a lease.
    ///
    /// # Panics
    /// If one does not.
    pub fn acquire(&mut self, port: &Port) -> Tally {
        let discover = |client: &mut Client| {
            let message = client.discover();
            client.broadcast(&message)
        };
        self.run(port, discover, |client, reply| {
            if reply.message.kind() == kind::OFFER && client.lease.is_none() {
                let request = client.select(&reply.message);
                return Some(client.broadcast(&request));
            }
            client.accept(reply);
            None
        })
    }

    /// Every client renews its lease once, in RENEWING, and keeps its address.
    ///
    /// # Panics
    /// If one does not.
    pub fn renew(&mut self, port: &Port) -> Tally {
        self.run(port, Client::renewing, |client, reply| {
            let address = client.held().address;
            client.accept(reply);
            assert_eq!(client.held().address, address, "a renewal keeps its address");
            assert_eq!((reply.dst_mac, reply.dst), (client.mac, address), "a renewal's reply is unicast");
            None
        })
    }

    /// The addresses that the clients hold.
    ///
    /// # Panics
    /// If two hold the same one.
    #[must_use]
    pub fn addresses(&self) -> BTreeSet<Ipv4Addr> {
        let mut addresses = BTreeSet::new();
        for client in &self.clients {
            assert!(addresses.insert(client.held().address), "{} twice", client.held().address);
        }
        addresses
    }

    /// Sends each client's `first` frame and hands it the answer; `next` says what follows, if anything.
    fn run(
        &mut self,
        port: &Port,
        mut first: impl FnMut(&mut Client) -> Frame,
        mut next: impl FnMut(&mut Client, &Reply) -> Option<Frame>,
    ) -> Tally {
        let mut flight = Flight { port, waiting: HashMap::new(), tally: Tally::default() };
        let mut untouched = 0..self.clients.len();
        let mut sweep = Instant::now() + SWEEP;
        loop {
            while flight.waiting.len() < self.window
                && let Some(index) = untouched.next()
            {
                let client = &mut self.clients[index];
                let frame = first(client);
                flight.begin(index, client.xid, &frame);
            }
            if flight.waiting.is_empty() {
                return flight.tally;
            }
            if let Some(reply) = port.receive(sweep)
                && let Some(index) = flight.answered(&reply)
                && let Some(frame) = next(&mut self.clients[index], &reply)
            {
                flight.begin(index, self.clients[index].xid, &frame);
            }
            if Instant::now() >= sweep {
                flight.send_due_again();
                sweep = Instant::now() + SWEEP;
            }
        }
    }
}

/// The requests that wait, by `xid`.
struct Flight<'a> {
    port: &'a Port,
    waiting: HashMap<u32, Pending>,
    tally: Tally,
}

impl Flight<'_> {
    fn begin(&mut self, client: usize, xid: u32, frame: &Frame) {
        let frame = frame.encode();
        self.port.send(&frame);
        self.tally.sent += 1;
        self.waiting.insert(xid, Pending { client, frame, tries: 1, due: Instant::now() + PATIENCE });
    }

    /// Whose request this answers; a second answer answers nothing.
    fn answered(&mut self, reply: &Reply) -> Option<usize> {
        self.waiting.remove(&reply.message.xid).map(|pending| pending.client)
    }

    fn send_due_again(&mut self) {
        let now = Instant::now();
        for (xid, pending) in self.waiting.iter_mut().filter(|(_, pending)| pending.due <= now) {
            assert!(pending.tries < TRIES, "no answer to {xid:#x} after {TRIES} tries");
            self.port.send(&pending.frame);
            self.tally.sent += 1;
            self.tally.again += 1;
            pending.tries += 1;
            pending.due = now + PATIENCE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        encode::{Message, option},
        lab::Lan,
    };
    use std::thread;

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 1);

    /// The answer of the simplest server there is: an address made of the hardware address.
    fn answer(request: &Message, mac: [u8; 6]) -> Frame {
        let kind = if request.kind() == kind::DISCOVER { kind::OFFER } else { kind::ACK };
        let mut reply = Message::reply_to(request)
            .with(option::MESSAGE_TYPE, &[kind])
            .with(option::SERVER_IDENTIFIER, &SERVER.octets())
            .with(option::LEASE_TIME, &60_u32.to_be_bytes());
        reply.ciaddr = request.ciaddr;
        reply.yiaddr = Ipv4Addr::new(10, 8, request.chaddr[4], request.chaddr[5]);
        let to = std::array::from_fn(|at| request.chaddr[at]);
        Frame::reply(mac, SERVER, to, reply.yiaddr, &reply)
    }

    #[test]
    fn a_herd_acquires_and_renews_though_answers_are_lost() {
        const CLIENTS: u32 = 500;
        let lan = Lan::new("10.8.0.1/16");
        let mac = lan.server.mac(Lan::SERVER);
        let near = Port::open(&lan.server, Lan::SERVER);
        let far = Port::open(&lan.clients, Lan::CLIENTS);
        let mut herd = Herd::new(CLIENTS, 64);
        let (acquired, renewed) = thread::scope(|scope| {
            let herd = &mut herd;
            let run = scope.spawn(move || (herd.acquire(&far), herd.renew(&far)));
            let mut seen = 0;
            while !run.is_finished() {
                let Some(frame) = near.receive_frame(Instant::now() + Duration::from_millis(20)) else {
                    continue;
                };
                let request = frame.get(42..).and_then(|message| Message::decode(message).ok());
                seen += 1;
                // The first and the six-hundredth answer get lost.
                if let Some(request) = request.filter(|_| seen % 600 != 1) {
                    near.send(&answer(&request, mac).encode());
                }
            }
            run.join().expect("every client is answered")
        });
        assert_eq!(herd.addresses().len(), CLIENTS as usize);
        assert!(acquired.sent >= u64::from(2 * CLIENTS) && acquired.again >= 1, "{acquired:?}");
        assert!(renewed.sent >= u64::from(CLIENTS), "{renewed:?}");
    }
}
