//! Loading: whether this kernel's verifier takes the program, at what cost, and in which words it refuses.

use std::{
    fs::{self, File},
    sync::Mutex,
};

use anyhow::{Context as _, Result, anyhow};
use dhcp_user::fastpath::{FastPath, FastPathError, Sizes};

/// One lease fills it.
const SIZES: Sizes = Sizes { slots: 1, links: 1, networks: 1, templates: 1 };

/// What the fast path traces. The verifier's log is part of it, and may be too long for the console.
const TRACE: &str = "/run/trace";
/// How much of the verifier's log is said.
const TAIL_LINES: usize = 40;

/// Keeps what the fast path traces in a file from now on.
pub(crate) fn keep_trace() -> Result<()> {
    let file = File::create(TRACE).with_context(|| format!("creating {TRACE}"))?;
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .try_init()
        .map_err(|error| anyhow!(error))
}

/// The fast path, loaded.
pub(super) fn fast_path() -> Result<FastPath> {
    FastPath::load(SIZES).map_err(|error| match error {
        FastPathError::Refused(verdict) => anyhow!("the verifier refuses: {verdict}\n{}", end_of_trace()),
        error => error.into(),
    })
}

pub(super) fn verifier_takes_the_program() -> Result<String> {
    let _fast_path = fast_path()?;
    let program = aya::programs::loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.name_as_str() == Some("dhcp"))
        .context("the loaded program is not among the kernel's")?;
    let verified =
        program.verified_instruction_count().context("the kernel does not say what it verified")?;
    Ok(format!("{verified} instructions verified"))
}

fn end_of_trace() -> String {
    let text = fs::read(TRACE).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
