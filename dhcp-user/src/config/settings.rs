//! What is served, resolved: the configuration where it says something, and what follows from the interface
//! where it does not.

use super::{AddressRange, Config, ConfigError, duration::lease_text, error::Report};
use crate::interface::Interface;
use dhcp_ebpf::abi::{LeaseSecs, Mac};
use ipnet::Ipv4Net;
use std::{fmt::Display, net::Ipv4Addr};

/// The lease time where the configuration names none.
const DEFAULT_LEASE: LeaseSecs = LeaseSecs(3_600);

/// The shortest prefix that is leased whole without being told to: a million addresses.
const WIDEST_DERIVED: u8 = 12;

/// An address that one client alone gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The client's hardware address.
    pub mac: Mac,
    /// Its address: in the prefix, in or outside the pools.
    pub address: Ipv4Addr,
}

/// One subnet on one interface, everything decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The subnet.
    pub prefix: Ipv4Net,
    /// Our first address in the prefix: the server identifier.
    pub server: Ipv4Addr,
    /// All our IPv4 addresses on the interface, [`server`](Self::server) first.
    pub own: Vec<Ipv4Addr>,
    /// What may be leased, ascending, without overlaps: never our own addresses, a router's, the network's or the
    /// broadcast address. Reserved addresses are still in here.
    pub pools: Vec<AddressRange>,
    /// The lease time: never 0.
    pub lease: LeaseSecs,
    /// Option 3: at most 63 addresses.
    pub routers: Vec<Ipv4Addr>,
    /// Option 6: at most 63 addresses.
    pub dns: Vec<Ipv4Addr>,
    /// Option 15.
    pub domain: Option<String>,
    /// At most one of each MAC and of each address.
    pub reservations: Vec<Reservation>,
    /// How far ahead of a lease's end its horizon may be, in lease times: at least 1.
    pub horizon: u32,
}

impl Settings {
    /// Resolves `config` on `interface`. `resolvers` go to the clients where the configuration names none.
    pub fn resolve(
        config: &Config,
        interface: &Interface,
        resolvers: &[Ipv4Addr],
    ) -> Result<Self, ConfigError> {
        let mut report = Report::new(config.source.clone());
        let Some(prefix) = prefix(config, interface, &mut report)? else {
            return Err(report.into_error());
        };
        let mut own: Vec<Ipv4Addr> = interface.addresses.iter().map(|own| own.address).collect();
        own.sort_by_key(|address| !prefix.contains(address));
        let Some(server) = own.first().copied() else {
            return Err(ConfigError::NoAddress { interface: interface.name.clone() });
        };

        let gateway = interface.gateway.filter(|gateway| prefix.contains(gateway) && !own.contains(gateway));
        let routers = match &config.routers {
            Some(routers) => {
                for router in routers.iter().filter(|router| !prefix.contains(router.get_ref())) {
                    let message = format!("router {} is outside the subnet {prefix}", router.get_ref());
                    report.add(
                        router.span(),
                        message,
                        "name a router that clients reach directly".to_owned(),
                    );
                }
                routers.iter().map(|router| *router.get_ref()).collect()
            }
            None => gateway.into_iter().collect::<Vec<_>>(),
        };
        if let Some(pools) = &config.pools {
            for pool in pools.iter().filter(|pool| !holds(prefix, *pool.get_ref())) {
                let message = format!("pool {} is not inside the subnet {prefix}", pool.get_ref());
                report.add(pool.span(), message, format!("keep pools within {}", AddressRange::of(prefix)));
            }
        }
        for (_, address) in &config.reservations {
            if let Some(message) = unfit(*address.get_ref(), prefix, &own) {
                report.add(address.span(), message, "reserve another address".to_owned());
            }
        }
        report.finish()?;

        let fixed = [prefix.network(), prefix.broadcast()].into_iter();
        let taken: Vec<_> =
            fixed.chain(own.iter().copied()).chain(routers.iter().copied()).chain(gateway).collect();
        let pools = pools(config, prefix, &taken)?;
        Ok(Self {
            prefix,
            server,
            own,
            pools,
            lease: config.lease.unwrap_or(DEFAULT_LEASE),
            routers,
            dns: config.dns.clone().unwrap_or_else(|| resolvers.to_vec()),
            domain: config.domain.clone(),
            reservations: config
                .reservations
                .iter()
                .map(|(mac, address)| Reservation { mac: *mac, address: *address.get_ref() })
                .collect(),
            horizon: config.horizon,
        })
    }

    /// A few lines for whoever starts the daemon.
    pub fn describe(&self) -> String {
        let count: u64 = self.pools.iter().map(|pool| pool.count()).sum();
        let pool =
            if count == 0 { "none".to_owned() } else { format!("{} ({count} addresses)", list(&self.pools)) };
        let mut lines = vec![
            format!("subnet   {}, server {}", self.prefix, self.server),
            format!("pool     {pool}"),
            format!("lease    {}, durable up to {} lease times ahead", lease_text(self.lease), self.horizon),
        ];
        let domain: Vec<_> = self.domain.iter().collect();
        for (name, values) in
            [("router", list(&self.routers)), ("dns", list(&self.dns)), ("domain", list(&domain))]
        {
            lines.push(format!("{name:<8} {}", if values.is_empty() { "none" } else { &values }));
        }
        if !self.reservations.is_empty() {
            lines.push(format!("reserved {} addresses", self.reservations.len()));
        }
        lines.join("\n")
    }
}

/// The subnet; nothing where the report says why.
fn prefix(
    config: &Config,
    interface: &Interface,
    report: &mut Report,
) -> Result<Option<Ipv4Net>, ConfigError> {
    if let Some(written) = &config.prefix {
        let prefix = *written.get_ref();
        if interface.addresses.iter().any(|own| prefix.contains(&own.address)) {
            return Ok(Some(prefix));
        }
        let has = match list(&interface.addresses.iter().map(|own| own.prefix).collect::<Vec<_>>()) {
            has if has.is_empty() => "none at all".to_owned(),
            has => has,
        };
        report.add(
            written.span(),
            format!("interface {} has no address in {prefix} (it has {has})", interface.name),
            format!(
                "give it one (`ip address add ADDRESS/{} dev {}`), or leave `prefix` out",
                prefix.prefix_len(),
                interface.name
            ),
        );
        return Ok(None);
    }
    let Some(address) = interface.addresses.iter().find(|own| own.global) else {
        return Err(ConfigError::NoAddress { interface: interface.name.clone() });
    };
    let prefix = address.prefix.trunc();
    if prefix.prefix_len() > 30 {
        return Err(ConfigError::TooNarrow { interface: interface.name.clone(), prefix });
    }
    Ok(Some(prefix))
}

/// What may be leased: the configured pools, or all of the prefix, without the addresses that are `taken`.
fn pools(config: &Config, prefix: Ipv4Net, taken: &[Ipv4Addr]) -> Result<Vec<AddressRange>, ConfigError> {
    let mut pools = match &config.pools {
        Some(pools) => pools.iter().map(|pool| *pool.get_ref()).collect(),
        None if prefix.prefix_len() < WIDEST_DERIVED => return Err(ConfigError::TooWide { prefix }),
        None => vec![AddressRange::of(prefix)],
    };
    for address in taken {
        pools = pools.into_iter().flat_map(|pool| pool.without(*address)).collect();
    }
    pools.sort_unstable();
    if pools.is_empty() && config.reservations.is_empty() {
        return Err(ConfigError::NoPool { prefix });
    }
    Ok(pools)
}

/// Why an address cannot be reserved.
fn unfit(address: Ipv4Addr, prefix: Ipv4Net, own: &[Ipv4Addr]) -> Option<String> {
    if !prefix.contains(&address) {
        Some(format!("reserved address {address} is outside the subnet {prefix}"))
    } else if own.contains(&address) {
        Some(format!("reserved address {address} is this server's own"))
    } else if address == prefix.network() || address == prefix.broadcast() {
        Some(format!("reserved address {address} is the subnet's network or broadcast address"))
    } else {
        None
    }
}

fn holds(prefix: Ipv4Net, range: AddressRange) -> bool {
    prefix.contains(&range.first) && prefix.contains(&range.last)
}

fn list(items: &[impl Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
