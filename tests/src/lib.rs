//! The laboratory of the end-to-end tests: network namespaces ([`lab`]), the server under test ([`daemon`], [`site`]), an
//! encoder and a strict parser of their own ([`encode`]), raw clients ([`port`], [`client`], [`herd`]) and Debian's
//! ([`real`]).
//!
//! Nothing here uses the product's packet code: what a frame *should* be comes from the RFCs' tables.

pub mod client;
pub mod daemon;
pub mod encode;
pub mod herd;
pub mod lab;
pub mod port;
pub mod real;
pub mod site;
