//! The configuration: what the operator wrote ([`Config`]) and what follows from it on the interface that is
//! served ([`Settings`]).
//!
//! Two steps, each reporting all that it finds: [`Config`] checks what the file alone can say, and
//! [`Settings::resolve`] what only the interface decides. Values keep their place in the file in between, so
//! that both can name line and column. Must not open a socket or ask the kernel: the facts come in.

mod duration;
mod error;
mod file;
mod range;
mod resolv;
mod settings;
mod values;

pub use duration::lease_text;
pub use error::{ConfigError, Problem};
pub use range::AddressRange;
pub use resolv::host_resolvers;
pub use settings::{Reservation, Settings};

use dhcp_ebpf::abi::{LeaseSecs, Mac};
use error::{Report, Source};
use ipnet::Ipv4Net;
use std::{collections::HashMap, net::Ipv4Addr, path::Path};
use toml::Spanned;

/// How far ahead of a lease's end its horizon is committed at most, in lease times, where the file says nothing.
const DEFAULT_HORIZON: u32 = 2;

/// A configuration file as written: every value well-formed, everything optional. The default is the empty file.
#[derive(Clone, Debug)]
pub struct Config {
    source: Source,
    prefix: Option<Spanned<Ipv4Net>>,
    pools: Option<Vec<Spanned<AddressRange>>>,
    lease: Option<LeaseSecs>,
    routers: Option<Vec<Spanned<Ipv4Addr>>>,
    dns: Option<Vec<Ipv4Addr>>,
    domain: Option<String>,
    reservations: Vec<(Mac, Spanned<Ipv4Addr>)>,
    horizon: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            source: Source::default(),
            prefix: None,
            pools: None,
            lease: None,
            routers: None,
            dns: None,
            domain: None,
            reservations: Vec::new(),
            horizon: DEFAULT_HORIZON,
        }
    }
}

impl Config {
    /// Reads and checks the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Checks `text`; `name` is what errors call the file.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let source = Source::new(name, text);
        let mut report = Report::new(source.clone());
        let file: file::File = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                report.add_toml(&error);
                return Err(report.into_error());
            }
        };
        let subnet = file.subnet;
        let config = Self {
            source,
            prefix: subnet.prefix.and_then(|written| report.text(&written, values::prefix)),
            pools: subnet.pools.map(|many| report.list(&many, values::pool)),
            lease: subnet
                .lease_time
                .and_then(|written| report.value(&written, values::lease_time))
                .map(Spanned::into_inner),
            routers: subnet.router.map(|many| addresses(&mut report, &many)),
            dns: subnet
                .dns
                .map(|many| addresses(&mut report, &many).into_iter().map(Spanned::into_inner).collect()),
            domain: subnet
                .domain
                .and_then(|written| report.text(&written, values::domain))
                .map(Spanned::into_inner),
            reservations: reservations(&mut report, &file.reservation),
            horizon: file
                .store
                .horizon
                .and_then(|written| report.value(&written, values::horizon))
                .map_or(DEFAULT_HORIZON, Spanned::into_inner),
        };
        if let Some(pools) = &config.pools {
            overlaps(&mut report, pools);
        }
        report.finish().map(|()| config)
    }
}

/// The addresses of an option that carries at most 255 octets of them (RFC 2132 §2).
fn addresses(report: &mut Report, many: &file::Many) -> Vec<Spanned<Ipv4Addr>> {
    const MOST: usize = 255 / 4;
    if let Some(beyond) = many.0.get(MOST) {
        report.add(
            beyond.span(),
            format!("an option has room for {MOST} addresses, {} are listed", many.0.len()),
            "leave some out".to_owned(),
        );
    }
    report.list(many, values::address)
}

fn reservations(report: &mut Report, tables: &[file::Reservation]) -> Vec<(Mac, Spanned<Ipv4Addr>)> {
    let mut macs = HashMap::new();
    let mut taken = HashMap::new();
    let mut reservations = Vec::new();
    for table in tables {
        let mac = report.text(&table.mac, values::mac);
        let address = report.text(&table.address, values::address);
        if let Some(mac) = &mac
            && let Some(before) = macs.insert(*mac.get_ref(), mac.span())
        {
            let line = report.line(&before);
            report.add(
                mac.span(),
                format!("{} already has a reservation, on line {line}", mac.get_ref()),
                "give each MAC one address".to_owned(),
            );
        }
        if let Some(address) = &address
            && let Some(before) = taken.insert(*address.get_ref(), address.span())
        {
            let line = report.line(&before);
            report.add(
                address.span(),
                format!("{} is already reserved, on line {line}", address.get_ref()),
                "give each MAC an address of its own".to_owned(),
            );
        }
        if let (Some(mac), Some(address)) = (mac, address) {
            reservations.push((mac.into_inner(), address));
        }
    }
    reservations
}

fn overlaps(report: &mut Report, pools: &[Spanned<AddressRange>]) {
    for (index, pool) in pools.iter().enumerate() {
        if let Some(other) = pools.iter().take(index).find(|other| other.get_ref().overlaps(*pool.get_ref()))
        {
            report.add(
                pool.span(),
                format!("pool {} overlaps pool {}", pool.get_ref(), other.get_ref()),
                "let each address be in one pool".to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests;
