//! Who a client is: what it says in option 61, or else its hardware address. Owns the comparison; knows nothing
//! of links, so that a client that roams is the same client.

use dhcp_ebpf::abi::{IDENTITY_CHADDR, IDENTITY_OPTION, Mac};
use std::{fmt, sync::Arc};

/// A client's identity. The kind is part of it: a client without option 61 is never the one whose option 61
/// spells the same hardware address (RFC 2131 §4.2 keys a client by the one or by the other).
///
/// Cheap to clone: the octets are shared.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientId(
    /// The kind, then the identity's octets: one slice, so that every comparison takes both.
    Arc<[u8]>,
);

impl ClientId {
    /// The identity of a client that sent no option 61.
    pub fn from_chaddr(mac: Mac) -> Self {
        Self::join(IDENTITY_CHADDR, &mac.0)
    }

    /// The identity that option 61's value spells, its type octet included. None unless it has 2 to 255 octets
    /// (RFC 2132 §9.14).
    pub fn from_option(value: &[u8]) -> Option<Self> {
        (2..=255).contains(&value.len()).then(|| Self::join(IDENTITY_OPTION, value))
    }

    /// The identity of which [`kind`](Self::kind) and [`bytes`](Self::bytes) were kept. None where there is no
    /// such identity.
    pub fn from_parts(kind: u8, bytes: &[u8]) -> Option<Self> {
        match kind {
            IDENTITY_CHADDR => Some(Self::from_chaddr(Mac(bytes.try_into().ok()?))),
            IDENTITY_OPTION => Self::from_option(bytes),
            _ => None,
        }
    }

    fn join(kind: u8, bytes: &[u8]) -> Self {
        Self([&[kind], bytes].concat().into())
    }

    /// `IDENTITY_CHADDR` or `IDENTITY_OPTION` of the map ABI.
    pub fn kind(&self) -> u8 {
        self.0.first().copied().unwrap_or(IDENTITY_CHADDR)
    }

    /// The hardware address, or the value of option 61.
    pub fn bytes(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }
}

impl fmt::Display for ClientId {
    /// `chaddr 020000000001`, `id 01020000000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.kind() == IDENTITY_CHADDR { "chaddr " } else { "id " })?;
        self.bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn no_option_61_is_not_the_option_that_spells_the_hardware_address() {
        let without = ClientId::from_chaddr(MAC);
        let with = ClientId::from_option(&[1, 2, 0, 0, 0, 0, 1]).unwrap();
        assert_ne!(without, with);
        assert_ne!(without, ClientId::from_option(&MAC.0).unwrap(), "same octets, another kind");
        assert_eq!(without, ClientId::from_chaddr(MAC));
    }

    #[test]
    fn option_61_has_2_to_255_octets() {
        assert_eq!(ClientId::from_option(&[]), None);
        assert_eq!(ClientId::from_option(&[1]), None);
        assert_eq!(ClientId::from_option(&[1, 2]).unwrap().bytes(), [1, 2]);
        assert_eq!(ClientId::from_option(&[7; 255]).unwrap().bytes(), [7; 255]);
        assert_eq!(ClientId::from_option(&[7; 256]), None);
    }

    #[test]
    fn parts_make_the_same_identity_again_or_none() {
        for id in [ClientId::from_chaddr(MAC), ClientId::from_option(&[0, 1, 2]).unwrap()] {
            assert_eq!(ClientId::from_parts(id.kind(), id.bytes()), Some(id));
        }
        assert_eq!(ClientId::from_parts(IDENTITY_CHADDR, &[1, 2, 3]), None);
        assert_eq!(ClientId::from_parts(IDENTITY_OPTION, &[1]), None);
        assert_eq!(ClientId::from_parts(0, &MAC.0), None);
    }

    #[test]
    fn it_reads_as_kind_and_hexadecimal() {
        assert_eq!(ClientId::from_chaddr(MAC).to_string(), "chaddr 020000000001");
        assert_eq!(ClientId::from_option(&[0xff, 0xa]).unwrap().to_string(), "id ff0a");
    }
}
