//! What the slow path did, by message and outcome; and log lines at a bounded rate.

use crate::protocol::{MessageType, Refusal};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What became of a client's message in user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Offer,
    Ack,
    Nak,
    Released,
    Declined,
    /// Waits for an address to be closed, then is taken up again.
    Deferred,
    /// No free address.
    Exhausted,
    /// Names another server.
    OtherServer,
    /// No record of the client: RFC 2131 §4.3.2 has the server remain silent.
    Unknown,
    /// Names a lease that the client does not have.
    NotTheirs,
    /// Its address and options agree with no state of RFC 2131.
    Malformed,
    /// The store fails, so nothing can be promised.
    StoreStalled,
    /// There is nobody to send the reply to, or it does not fit.
    NoReply,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Ack => "ack",
            Self::Nak => "nak",
            Self::Released => "released",
            Self::Declined => "declined",
            Self::Deferred => "deferred",
            Self::Exhausted => "exhausted",
            Self::OtherServer => "other-server",
            Self::Unknown => "unknown-client",
            Self::NotTheirs => "not-theirs",
            Self::Malformed => "malformed",
            Self::StoreStalled => "store-stalled",
            Self::NoReply => "no-reply",
        }
    }
}

/// The name that a message is counted under.
const fn message_name(message: MessageType) -> &'static str {
    match message {
        MessageType::Discover => "discover",
        MessageType::Request => "request",
        MessageType::Decline => "decline",
        MessageType::Release => "release",
        MessageType::Inform => "inform",
    }
}

/// The slow path's counters.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: BTreeMap<(&'static str, &'static str), u64>,
}

impl Tally {
    /// Counts what became of a message.
    pub(super) fn count(&mut self, message: MessageType, outcome: Outcome) {
        *self.counts.entry((message_name(message), outcome.name())).or_default() += 1;
    }

    /// Counts a frame that is no message to us.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        *self.counts.entry(("refused", refusal.name())).or_default() += 1;
    }

    /// Every count: message, outcome, how often.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.counts.iter().map(|(&(message, outcome), &count)| (message, outcome, count))
    }
}

/// Lets one log line through in a while, however often there is cause.
#[derive(Debug)]
pub(super) struct Throttle {
    last: Option<Instant>,
    /// Causes since the last line.
    silent: u64,
}

impl Throttle {
    const EVERY: Duration = Duration::from_secs(10);

    /// The first line passes.
    pub(super) const fn new() -> Self {
        Self { last: None, silent: 0 }
    }

    /// Whether to write a line now, and for how many causes it stands.
    pub(super) fn line(&mut self) -> Option<u64> {
        self.silent += 1;
        if self.last.is_some_and(|last| last.elapsed() < Self::EVERY) {
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.silent))
    }
}
