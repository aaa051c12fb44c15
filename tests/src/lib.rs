//! The laboratory of the end-to-end tests: network namespaces ([`lab`]), the server under test ([`daemon`], [`site`]), an
//! encoder and a strict parser of their own ([`encode`]), raw clients ([`port`], [`client`], [`herd`]) and Debian's
//! ([`real`]); and packet fixtures ([`fixture`]).
//!
//! What a frame *should* be comes from the RFCs' tables: nothing but the fixtures' runners, which run it, uses the
//! product's packet code.

pub mod client;
pub mod daemon;
pub mod encode;
pub mod fixture;
pub mod herd;
pub mod lab;
pub mod port;
pub mod real;
pub mod site;
