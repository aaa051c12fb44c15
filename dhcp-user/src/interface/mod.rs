//! The facts about an interface, as the kernel's rtnetlink tells them at one moment. Owns which interfaces can be
//! served at all; must not change anything.

mod query;

use dhcp_ebpf::abi::Mac;
use ipnet::Ipv4Net;
use std::{fmt, io, net::Ipv4Addr};

/// An Ethernet interface that can be served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its hardware address.
    pub mac: Mac,
    /// The longest IP datagram that it carries, in octets.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// The kind of a virtual link (`veth`, `vlan`, `bridge`, …); nothing for most hardware.
    pub kind: Option<String>,
    /// The XDP program attached to it.
    pub xdp: Option<AttachedXdp>,
    /// Its IPv4 addresses in the kernel's order: a prefix's primary one before its secondaries.
    pub addresses: Vec<InterfaceAddress>,
    /// The gateway of the main table's best IPv4 default route through this interface.
    pub gateway: Option<Ipv4Addr>,
    /// What is known of a veth's other end; nothing for other kinds.
    pub peer: Option<VethPeer>,
}

/// An IPv4 address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// The address with the length of its prefix.
    pub prefix: Ipv4Net,
    /// Its directed broadcast, where it has one.
    pub broadcast: Option<Ipv4Addr>,
    /// Whether its scope is global.
    pub global: bool,
}

/// An XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachedXdp {
    /// The program's id; 0 where programs are attached in several modes at once.
    pub program: u32,
    /// Where it runs.
    pub mode: XdpMode,
}

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// In the stack, on socket buffers.
    Generic,
    /// On the card.
    Offloaded,
    /// In more than one of them.
    Several,
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offloaded => "offloaded",
            Self::Several => "several modes",
        })
    }
}

/// What a veth's other end does with frames that a native XDP program here sends back: it takes them only where
/// its own side runs NAPI, which a native XDP program there switches on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VethPeer {
    /// It has a native XDP program.
    Xdp,
    /// It has none.
    NoXdp,
    /// The kernel does not say, for this reason.
    Unknown(String),
}

/// The interface cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// There is none of that name.
    #[error("there is no interface {name}; there are {}", .existing.join(", "))]
    NotFound {
        /// The name.
        name: String,
        /// The names that there are.
        existing: Vec<String>,
    },
    /// It is the loopback.
    #[error("{name} is the loopback, which has no DHCP clients; name an Ethernet interface")]
    Loopback {
        /// The name.
        name: String,
    },
    /// It carries no Ethernet frames.
    #[error("{name} is not an Ethernet interface ({kind}); name one that is")]
    NotEthernet {
        /// The name.
        name: String,
        /// What it is instead.
        kind: String,
    },
    /// Its frames belong to another interface.
    #[error(
        "{name} is a port of {master} ({kind}), which takes its frames; serve {master} instead, or take {name} out of it"
    )]
    Enslaved {
        /// The name.
        name: String,
        /// The interface that it belongs to.
        master: String,
        /// That one's kind.
        kind: String,
    },
    /// The netlink socket failed.
    #[error("cannot ask the kernel about interfaces: {0}")]
    Socket(#[from] io::Error),
    /// The kernel refused to answer.
    #[error("the kernel does not tell about interfaces: {0}")]
    Netlink(#[from] rtnetlink::Error),
}

impl Interface {
    /// The facts about the interface called `name`, in the calling thread's network namespace.
    pub async fn find(name: &str) -> Result<Self, InterfaceError> {
        query::find(name).await
    }

    /// The same interface's facts as they are now, but for the gateway: to find that takes the whole routing table,
    /// too much for a look every second.
    pub async fn find_again(&self) -> Result<Self, InterfaceError> {
        query::find_again(self).await
    }
}

#[cfg(test)]
mod tests;
