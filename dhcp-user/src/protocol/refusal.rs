//! Why a frame is not a request for this server: each reason is counted and published under its name, as the
//! fast path's are. The same fault has the same name on both paths.

use std::fmt;

/// Declares [`Refusal`] and, from the same lines, [`Refusal::ALL`] and [`Refusal::name`].
macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a frame is not answered, and not looked at any further.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum Refusal {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Refusal {
            /// Every refusal, in the order in which a frame meets them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name that it is published under.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

refusals! {
    /// Longer than the buffer that it was received into, or than any datagram that is read.
    FrameLength = "frame-length",
    /// VLAN-tagged: only untagged links are served.
    Tagged = "tagged",
    /// To another host's hardware address, or to a group's.
    DestinationMac = "destination-mac",
    /// From a hardware address that is nobody's.
    SourceMac = "source-mac",
    /// Not IPv4 and UDP to port 67.
    NotDhcp = "not-dhcp",
    /// The IP header has a wrong length, or its options have.
    IpHeader = "ip-header",
    /// The sender laid down the route.
    SourceRoute = "source-route",
    /// The lengths of frame, IP and UDP contradict each other.
    Length = "length",
    /// A fragment.
    Fragment = "fragment",
    /// Wrong IP header checksum.
    IpChecksum = "ip-checksum",
    /// To an IP address that is neither ours nor a broadcast here.
    IpDestination = "ip-destination",
    /// Wrong UDP checksum.
    UdpChecksum = "udp-checksum",
    /// Not a request from Ethernet with DHCP's cookie.
    NotRequest = "not-request",
    /// `chaddr` is no host's hardware address.
    Chaddr = "chaddr",
    /// `giaddr` is no relay's that is configured.
    Relay = "relay",
    /// An option reaches beyond its field, or has a wrong length.
    OptionsMalformed = "options-malformed",
    /// No option 53: BOOTP, which is not served.
    Bootp = "bootp",
    /// A message that no client sends.
    MessageType = "message-type",
    /// Addresses and options agree with none of RFC 2131's states.
    State = "state",
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
