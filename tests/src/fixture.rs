//! Packet fixtures: what a server is asked, what its maps hold, and what must become of the frame. Owns their format
//! and the two runners that every fixture goes through unchanged: [`pure`] functions, and the [`kernel`]'s own run of
//! the loaded program. The cases themselves are data, in `fixtures/`.
//!
//! What is asked and what is expected comes from [`encode`](crate::encode) alone; only the runners know the product.

pub mod kernel;
pub mod pure;
mod reply;
mod request;
mod state;
mod value;

use anyhow::{Context as _, Result, bail, ensure};
use dhcp_ebpf::{
    abi::{BootSecs, Promise},
    reason::Reason,
};
use serde::Deserialize;
use std::collections::HashSet;

use reply::Reply;
use request::Request;
use state::{Lease, Link, Network, Template};

/// The files, by topic.
const FILES: &[(&str, &str)] = &[
    ("answers", include_str!("../fixtures/answers.toml")),
    ("frames", include_str!("../fixtures/frames.toml")),
    ("identity", include_str!("../fixtures/identity.toml")),
    ("leases", include_str!("../fixtures/leases.toml")),
    ("options", include_str!("../fixtures/options.toml")),
    ("states", include_str!("../fixtures/states.toml")),
    ("templates", include_str!("../fixtures/templates.toml")),
];

/// Addresses and the like that every part falls back to: the client holds [`CLIENT`](defaults::CLIENT) from
/// [`SERVER`](defaults::SERVER), both are on one link.
mod defaults {
    use crate::encode::Mac;
    use std::net::Ipv4Addr;

    pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
    pub(super) const SERVER_MAC: Mac = [2, 0, 0, 0, 0, 0xfe];
    pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 7);
    pub(super) const CLIENT_MAC: Mac = [2, 0, 0, 0, 0, 1];
    pub(super) const PARAMETERS: [u8; 3] = [1, 3, 6];
    pub(super) const LEASE: u32 = 3600;
}

/// One case. What a file leaves out is the ordinary: a client that renews an open lease.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fixture {
    /// What it shows, in a sentence; no two have the same.
    pub description: String,
    /// The name of the [`Reason`] that is counted.
    pub verdict: String,
    /// The frame that comes in.
    #[serde(default)]
    request: Request,
    /// The link that it comes in on.
    #[serde(default)]
    link: Link,
    /// The client's network.
    #[serde(default)]
    network: Network,
    /// The lease that is published.
    #[serde(default)]
    lease: Lease,
    /// The templates; the lease's slot names the first. None given: one.
    #[serde(default)]
    template: Vec<Template>,
    /// What the answer is, beside what the template and RFC 2131 table 3 say.
    reply: Option<Reply>,
}

impl Fixture {
    /// Every fixture of every file.
    ///
    /// # Errors
    /// A file that does not parse, or a fixture that contradicts itself; which one, and how.
    pub fn all() -> Result<Vec<Self>> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            fixture: Vec<Fixture>,
        }
        let mut all: Vec<Self> = Vec::new();
        for (name, text) in FILES {
            let file: File = toml::from_str(text).with_context(|| format!("fixtures/{name}.toml"))?;
            all.extend(file.fixture);
        }
        let mut descriptions = HashSet::new();
        for fixture in &mut all {
            if fixture.template.is_empty() {
                fixture.template.push(Template::default());
            }
            ensure!(descriptions.insert(&fixture.description), "twice: {}", fixture.description);
            fixture.check().with_context(|| fixture.description.clone())?;
        }
        Ok(all)
    }

    fn check(&self) -> Result<()> {
        let answered = is_answer(self.reason()?);
        ensure!(answered || self.reply.is_none(), "a reply to what passes");
        Ok(())
    }

    /// The verdict.
    ///
    /// # Errors
    /// There is no reason of that name.
    pub fn reason(&self) -> Result<Reason> {
        let named = Reason::ALL.iter().find(|reason| reason.name() == self.verdict);
        named.copied().with_context(|| format!("no reason is called {}", self.verdict))
    }

    /// The profile of the fixture's lease: the one that its first template has.
    fn profile(&self) -> u16 {
        self.template.first().map_or(0, |template| template.profile as u16)
    }

    /// What must come of the frame at the second `now` of the boot clock.
    ///
    /// # Errors
    /// The fixture contradicts itself.
    fn expected(&self, now: BootSecs) -> Result<Outcome> {
        let reason = self.reason()?;
        if !is_answer(reason) {
            return Ok(Outcome { reason, frame: self.request.encode()?, promised: None });
        }
        let reply = self.reply.clone().unwrap_or_default();
        let template = self.template.get(reply.template).context("the reply's template")?;
        let frame = reply.encode(&self.request, template, self.lease.address)?;
        // The second that has begun is not over: what is promised counts from the next one.
        let promised = state::end_of(now.0 + 1, template.lease);
        ensure!(promised <= self.lease.horizon.at(now), "an answer that promises more than is durable");
        Ok(Outcome { reason, frame, promised: Some(promised) })
    }
}

/// Whether this is the counter of an answer.
fn is_answer(reason: Reason) -> bool {
    use Reason::{AckInitReboot, AckRebinding, AckRenewing, AckSelecting};
    matches!(reason, AckRenewing | AckRebinding | AckInitReboot | AckSelecting)
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    /// The reason.
    reason: Reason,
    /// The frame that leaves: the answer, or the request as it came.
    frame: Vec<u8>,
    /// The end that the slot has got, where it was answered.
    promised: Option<BootSecs>,
}

impl Outcome {
    /// The outcome of an answer that promises this.
    fn answer(reason: Reason, frame: Vec<u8>, promise: Promise) -> Self {
        Self { reason, frame, promised: Some(promise.end) }
    }

    /// Compares this, what was expected, with what was found.
    ///
    /// # Errors
    /// The first difference, in words.
    fn compare(&self, found: &Self) -> Result<()> {
        let (expected, got) = (self.reason.name(), found.reason.name());
        ensure!(expected == got, "{got}, not {expected}");
        if self.frame != found.frame {
            let (expected, got) = (&self.frame, &found.frame);
            let at = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
            bail!(
                "{} octets, expected {}; from octet {at} on {:02x?}, not {:02x?}",
                got.len(),
                expected.len(),
                some_of(got, at),
                some_of(expected, at)
            );
        }
        ensure!(self.promised == found.promised, "promised {:?}, not {:?}", found.promised, self.promised);
        Ok(())
    }
}

/// A few octets from `at` on.
fn some_of(frame: &[u8], at: usize) -> &[u8] {
    &frame[at..frame.len().min(at + 8)]
}
