//! A segment: a server and its clients on a veth pair. Owns the namespaces and their wiring; offloads stay as
//! the kernel sets them, because real machines have them so.

use super::{Namespace, XdpPass};

/// One veth pair between a server's namespace and its clients'.
#[derive(Debug)]
pub struct Lan {
    /// Where the server runs, on [`Lan::SERVER`].
    pub server: Namespace,
    /// Where raw clients sit, on [`Lan::CLIENTS`].
    pub clients: Namespace,
    pass: Option<XdpPass>,
}

impl Lan {
    /// The server's interface.
    pub const SERVER: &str = "srv0";
    /// The clients' interface.
    pub const CLIENTS: &str = "cli0";

    /// Lays the segment; `server` is the server's address with its prefix length, `10.9.0.1/24`.
    ///
    /// # Panics
    /// If the kernel has no veth, or refuses.
    #[must_use]
    pub fn new(server: &str) -> Self {
        let lan = Namespace::new();
        let clients = Namespace::new();
        let (near, far) = (Self::SERVER, Self::CLIENTS);
        lan.ip(&format!("link add {near} type veth peer name {far} netns {}", clients.path()));
        lan.ip(&format!("address add {server} dev {near}"));
        let pass = XdpPass::attach(&clients, far).expect("an XDP program on a veth");
        lan.ip(&format!("link set {near} up"));
        clients.ip(&format!("link set {far} up"));
        Self { server: lan, clients, pass: Some(pass) }
    }

    /// Takes the clients' XDP program away: from here on their veth loses what the server's sends natively.
    pub fn end_pass(&mut self) {
        self.pass = None;
    }

    /// A host on the segment with one interface, `name`, which is up and has no address: a macvlan child of
    /// [`Lan::CLIENTS`] in a namespace of its own.
    #[must_use]
    pub fn host(&self, name: &str) -> Namespace {
        let host = Namespace::new();
        let parent = Self::CLIENTS;
        self.clients.ip(&format!(
            "link add link {parent} name {name} netns {} type macvlan mode bridge",
            host.path()
        ));
        host.ip(&format!("link set {name} up"));
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_a_segment_reach_its_server() {
        let lan = Lan::new("192.0.2.1/24");
        let host = lan.host("h1");
        host.ip("address add 192.0.2.9/24 dev h1");
        let echo = lan.server.run(|| std::net::UdpSocket::bind("192.0.2.1:7")).expect("a socket");
        let asker = host.run(|| std::net::UdpSocket::bind("192.0.2.9:0")).expect("a socket");
        echo.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("a timeout");
        asker.send_to(b"here", "192.0.2.1:7").expect("sent");
        let mut buffer = [0; 16];
        let (count, from) = echo.recv_from(&mut buffer).expect("received");
        assert_eq!((&buffer[..count], from.ip().to_string().as_str()), (&b"here"[..], "192.0.2.9"));
    }
}
