//! Asks rtnetlink. Owns the requests and what their attributes mean.

use super::{AttachedXdp, Interface, InterfaceAddress, InterfaceError, VethPeer, XdpMode};
use dhcp_ebpf::abi::Mac;
use futures_util::TryStreamExt;
use ipnet::Ipv4Net;
use rtnetlink::{
    Error, Handle, RouteMessageBuilder,
    packet_route::{
        AddressFamily,
        address::{AddressAttribute, AddressMessage, AddressScope},
        link::{LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp, XdpAttached},
        route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage},
    },
};
use std::net::{IpAddr, Ipv4Addr};

/// The longest name of an interface (IFNAMSIZ, without the end): the kernel refuses longer ones as malformed.
const NAME_MAX: usize = 15;

/// The master that only routes and leaves a port's frames alone.
const ROUTING_MASTER: &str = "vrf";

pub(super) async fn find(name: &str) -> Result<Interface, InterfaceError> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let found = async {
        let found = ask(&handle, name).await?;
        Ok(Interface { gateway: gateway(&handle, found.index).await?, ..found })
    };
    let found = found.await;
    connection.abort();
    found
}

pub(super) async fn find_again(known: &Interface) -> Result<Interface, InterfaceError> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let found = ask(&handle, &known.name).await;
    connection.abort();
    found.map(|found| Interface { gateway: known.gateway, ..found })
}

/// All but the gateway.
async fn ask(handle: &Handle, name: &str) -> Result<Interface, InterfaceError> {
    let Some(link) = link_named(handle, name).await? else {
        let links: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
        return Err(InterfaceError::NotFound {
            name: name.to_owned(),
            existing: links.iter().map(link_name).collect(),
        });
    };
    let kind = link_kind(&link);
    if link.header.flags.contains(LinkFlags::Loopback) {
        return Err(InterfaceError::Loopback { name: name.to_owned() });
    }
    let not_ethernet = || InterfaceError::NotEthernet {
        name: name.to_owned(),
        kind: kind.clone().unwrap_or_else(|| format!("{:?}", link.header.link_layer_type)),
    };
    if link.header.link_layer_type != LinkLayerType::Ether {
        return Err(not_ethernet());
    }
    let mac = mac(&link).ok_or_else(not_ethernet)?;
    if let Some((master, kind)) = master(handle, &link).await?
        && kind != ROUTING_MASTER
    {
        return Err(InterfaceError::Enslaved { name: name.to_owned(), master, kind });
    }
    let peer = if kind.as_deref() == Some("veth") { Some(peer(handle, &link).await) } else { None };
    let index = link.header.index;
    Ok(Interface {
        name: link_name(&link),
        index,
        mac,
        mtu: attribute(&link, |attribute| match attribute {
            LinkAttribute::Mtu(mtu) => Some(*mtu),
            _ => None,
        })
        .unwrap_or_default(),
        up: link.header.flags.contains(LinkFlags::Up),
        xdp: xdp(&link),
        addresses: addresses(handle, index).await?,
        gateway: None,
        kind,
        peer,
    })
}

async fn link_named(handle: &Handle, name: &str) -> Result<Option<LinkMessage>, Error> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Ok(None);
    }
    match handle.link().get().match_name(name).execute().try_next().await {
        Err(Error::NetlinkError(refusal)) if refusal.raw_code() == -libc::ENODEV => Ok(None),
        answer => answer,
    }
}

fn attribute<T>(link: &LinkMessage, pick: impl Fn(&LinkAttribute) -> Option<T>) -> Option<T> {
    link.attributes.iter().find_map(pick)
}

fn link_name(link: &LinkMessage) -> String {
    attribute(link, |attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
    .unwrap_or_else(|| format!("#{}", link.header.index))
}

fn link_kind(link: &LinkMessage) -> Option<String> {
    attribute(link, |attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().find_map(|info| match info {
            LinkInfo::Kind(kind) => Some(kind.to_string()),
            _ => None,
        }),
        _ => None,
    })
}

fn mac(link: &LinkMessage) -> Option<Mac> {
    attribute(link, |attribute| match attribute {
        LinkAttribute::Address(octets) => octets.as_slice().try_into().ok().map(Mac),
        _ => None,
    })
}

/// Name and kind of the interface that the link is a port of.
async fn master(handle: &Handle, link: &LinkMessage) -> Result<Option<(String, String)>, Error> {
    let index = attribute(link, |attribute| match attribute {
        LinkAttribute::Controller(index) => Some(*index),
        _ => None,
    });
    let Some(index) = index else { return Ok(None) };
    let master = handle.link().get().match_index(index).execute().try_next().await?;
    Ok(master.map(|master| {
        (link_name(&master), link_kind(&master).unwrap_or_else(|| "of no known kind".to_owned()))
    }))
}

fn xdp(link: &LinkMessage) -> Option<AttachedXdp> {
    let attributes = attribute(link, |attribute| match attribute {
        LinkAttribute::Xdp(attributes) => Some(attributes.clone()),
        _ => None,
    })?;
    let mode = attributes.iter().find_map(|attribute| match attribute {
        LinkXdp::Attached(XdpAttached::Driver) => Some(XdpMode::Native),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(XdpMode::Generic),
        LinkXdp::Attached(XdpAttached::Hardware) => Some(XdpMode::Offloaded),
        LinkXdp::Attached(XdpAttached::Multiple | XdpAttached::Other(_)) => Some(XdpMode::Several),
        _ => None,
    })?;
    let program = attributes.iter().find_map(|attribute| match attribute {
        LinkXdp::ProgId(id) => Some(*id),
        _ => None,
    });
    Some(AttachedXdp { program: program.unwrap_or_default(), mode })
}

/// Looks at the other end of a veth, in whatever namespace it lives: the kernel gives every namespace that it
/// mentions an id, and answers questions about links there to those who have rights in it.
async fn peer(handle: &Handle, link: &LinkMessage) -> VethPeer {
    let index = attribute(link, |attribute| match attribute {
        LinkAttribute::Link(index) => Some(*index),
        _ => None,
    });
    let Some(index) = index.filter(|index| *index != 0) else {
        return VethPeer::Unknown("the kernel does not name the peer".to_owned());
    };
    let mut request = handle.link().get().match_index(index);
    let namespace = attribute(link, |attribute| match attribute {
        LinkAttribute::LinkNetNsId(id) => Some(*id),
        _ => None,
    });
    if let Some(id) = namespace {
        request.message_mut().attributes.push(LinkAttribute::IfNetnsId(id));
    }
    match request.execute().try_next().await {
        Ok(Some(peer)) => match xdp(&peer) {
            Some(AttachedXdp { mode: XdpMode::Native | XdpMode::Several, .. }) => VethPeer::Xdp,
            _ => VethPeer::NoXdp,
        },
        Ok(None) => VethPeer::Unknown("no answer about the peer".to_owned()),
        Err(Error::NetlinkError(refusal)) => VethPeer::Unknown(refusal.to_io().to_string()),
        Err(error) => VethPeer::Unknown(error.to_string()),
    }
}

async fn addresses(handle: &Handle, index: u32) -> Result<Vec<InterfaceAddress>, Error> {
    let mut request = handle.address().get();
    request.message_mut().header.family = AddressFamily::Inet;
    let messages: Vec<AddressMessage> = request.set_link_index_filter(index).execute().try_collect().await?;
    Ok(messages.iter().filter_map(address).collect())
}

fn address(message: &AddressMessage) -> Option<InterfaceAddress> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
        _ => None,
    })?;
    let broadcast = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Broadcast(address) => Some(*address),
        _ => None,
    });
    Some(InterfaceAddress {
        address,
        prefix: Ipv4Net::new(address, message.header.prefix_len).ok()?,
        broadcast,
        global: message.header.scope == AddressScope::Universe,
    })
}

async fn gateway(handle: &Handle, index: u32) -> Result<Option<Ipv4Addr>, Error> {
    let request = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let routes: Vec<RouteMessage> = handle.route().get(request).execute().try_collect().await?;
    let is_default = |route: &&RouteMessage| {
        route.header.destination_prefix_length == 0 && route.header.table == RouteHeader::RT_TABLE_MAIN
    };
    let best =
        routes.iter().filter(is_default).filter_map(|route| Some((metric(route), via(route, index)?))).min();
    Ok(best.map(|(_, gateway)| gateway))
}

fn metric(route: &RouteMessage) -> u32 {
    route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Priority(metric) => Some(*metric),
            _ => None,
        })
        .unwrap_or_default()
}

/// The gateway of a route, or of one of its several next hops, through an interface.
fn via(route: &RouteMessage, index: u32) -> Option<Ipv4Addr> {
    let gateway = |attributes: &[RouteAttribute]| {
        attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => Some(*gateway),
            _ => None,
        })
    };
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(out) if *out == index => gateway(&route.attributes),
        RouteAttribute::MultiPath(hops) => {
            hops.iter().filter(|hop| hop.interface_index == index).find_map(|hop| gateway(&hop.attributes))
        }
        _ => None,
    })
}
