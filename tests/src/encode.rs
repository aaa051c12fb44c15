//! An encoder of DHCP frames and a strict parser of replies, written from the tables of RFC 2131, RFC 2132,
//! RFC 791, RFC 768, RFC 894 and IEEE 802.1Q. Owns what the bytes *should* be; must never use the product's
//! packet code, or the tests would compare the product with itself.

mod checksum;
mod frame;
mod message;
mod reply;

pub use checksum::{internet_checksum, udp_checksum, udp_pseudo_header_sum};
pub use frame::{Frame, UdpChecksum, VlanTag};
pub use message::{BOOTREPLY, BOOTREQUEST, BROADCAST_FLAG, Message, kind, option};
pub use reply::{Malformed, Reply};

/// An Ethernet address, in the order of the wire.
pub type Mac = [u8; 6];

/// Every station.
pub const BROADCAST_MAC: Mac = [0xff; 6];
