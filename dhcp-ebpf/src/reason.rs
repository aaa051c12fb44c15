//! Why a packet was answered or passed: every return of the fast path is one of these, counted per CPU and
//! published under its name.

/// Declares [`Reason`] and, from the same lines, [`Reason::ALL`] and [`Reason::name`].
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What became of a packet, and the index of its counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of its counter.
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

reasons! {
    /// Answered: the client extends its lease by unicast.
    AckRenewing = "ack-renewing",
    /// Answered: the client extends its lease by broadcast.
    AckRebinding = "ack-rebinding",
    /// Answered: the client checks a lease that it remembers.
    AckInitReboot = "ack-init-reboot",
    /// Answered: the client takes (again) what it was offered.
    AckSelecting = "ack-selecting",
    /// Not IPv4 and UDP to port 67, or with IP options: the traffic of everything else.
    NotDhcp = "not-dhcp",
    /// Longer than the buffer that packets are read into, or not whole in the driver's first one.
    FrameLength = "frame-length",
    /// No served link has this interface and these VLAN tags.
    Link = "link",
    /// To another host's hardware address, or to a group's.
    DestinationMac = "destination-mac",
    /// From a hardware address that is nobody's.
    SourceMac = "source-mac",
    /// The IP header has options, or is of another version.
    IpHeader = "ip-header",
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
    /// The sender left the UDP checksum to hardware, and the frame can't be rewritten: generic mode.
    UdpChecksumUnfinished = "udp-checksum-unfinished",
    /// Not a request from Ethernet with DHCP's cookie.
    NotRequest = "not-request",
    /// `chaddr` is no host's hardware address.
    Chaddr = "chaddr",
    /// `giaddr` is no relay's that is configured.
    Relay = "relay",
    /// The options end nowhere, overlap, or have a wrong length.
    OptionsMalformed = "options-malformed",
    /// An option is there twice.
    OptionTwice = "option-twice",
    /// More options than are walked.
    OptionsTooMany = "options-too-many",
    /// An option that only user space understands.
    OptionClass = "option-class",
    /// Option 82 without a relay, from a link that is not trusted with it.
    RelayInfoUntrusted = "relay-info-untrusted",
    /// Another message than DHCPREQUEST.
    MessageType = "message-type",
    /// Addresses and options agree with none of RFC 2131's states.
    State = "state",
    /// Option 54 names another server.
    OtherServer = "other-server",
    /// The network leaves this state to user space.
    StateNotAnswered = "state-not-answered",
    /// A renewal by unicast from another IP address than the leased one.
    IpSource = "ip-source",
    /// No published lease has this address in this network.
    NoLease = "no-lease",
    /// The lease is being closed, or its slot holds another one by now.
    Closed = "closed",
    /// The lease is another client's.
    Identity = "identity",
    /// An option differs from what is stored with the lease.
    Compared = "compared",
    /// The lease has ended.
    Ended = "ended",
    /// No template for what this request asks.
    NoTemplate = "no-template",
    /// The new end would be later than what is durable.
    Horizon = "horizon",
    /// The reply is longer than the client or the link takes.
    ReplyLength = "reply-length",
    /// The frame can't be grown by as much as the reply needs.
    Growth = "growth",
    /// The driver refused to grow, shrink or write the frame.
    Frame = "frame",
}
