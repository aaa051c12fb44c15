//! How a mistake in the configuration is told: file, line, column, what is wrong, and what to do about it.

use super::file::Many;
use ipnet::Ipv4Net;
use std::{io, ops::Range, path::PathBuf, sync::Arc};
use toml::Spanned;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}; name a readable file with --config, or leave it out", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has mistakes, one a line.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
    /// There is neither a configured prefix nor an address to derive one from.
    #[error(
        "interface {interface} has no global IPv4 address to serve from; give it one (`ip address add ADDRESS/LENGTH dev {interface}`)"
    )]
    NoAddress {
        /// The interface.
        interface: String,
    },
    /// The derived prefix has no room for clients.
    #[error(
        "the prefix {prefix} of interface {interface} has no host addresses to lease; use one of /30 or shorter"
    )]
    TooNarrow {
        /// The interface.
        interface: String,
        /// Its prefix.
        prefix: Ipv4Net,
    },
    /// The prefix is too large to be one pool.
    #[error(
        "{prefix} is too large to lease all of it; configure the ranges to lease with `pools` in [subnet]"
    )]
    TooWide {
        /// The prefix.
        prefix: Ipv4Net,
    },
    /// Nothing is left to lease.
    #[error(
        "no address of {prefix} is left to lease besides our own and the routers'; configure `pools` in [subnet] or use a larger prefix"
    )]
    NoPool {
        /// The prefix.
        prefix: Ipv4Net,
    },
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// One mistake in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}; {fix}")]
pub struct Problem {
    /// The file as the operator named it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// A value that is wrong, before it is known where it stands.
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) fix: String,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { message: message.into(), fix: fix.into() }
    }
}

/// A file's name and where its lines begin.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    name: Arc<str>,
    text: Arc<str>,
}

impl Source {
    pub(super) fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Line and column of a byte of the file.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count());
        (before.matches('\n').count() + 1, column + 1)
    }
}

/// Collects the problems of one file.
pub(super) struct Report {
    source: Source,
    problems: Vec<Problem>,
}

impl Report {
    pub(super) fn new(source: Source) -> Self {
        Self { source, problems: Vec::new() }
    }

    pub(super) fn add(&mut self, span: Range<usize>, message: String, fix: String) {
        let (line, column) = self.source.position(span.start);
        self.problems.push(Problem { file: self.source.name.clone(), line, column, message, fix });
    }

    /// Adds what the TOML parser or serde found. serde knows its keys only inside its message.
    pub(super) fn add_toml(&mut self, error: &toml::de::Error) {
        let message = error.message();
        let mut quoted = message.split('`').skip(1).step_by(2);
        let fix = if message.starts_with("unknown field") {
            let found = quoted.next().unwrap_or_default();
            match nearest(found, quoted) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "remove it".to_owned(),
            }
        } else if message.starts_with("missing field") {
            format!("add `{} = …`", quoted.next().unwrap_or_default())
        } else if message.starts_with("duplicate key") {
            "keep one of the two".to_owned()
        } else if ["invalid float", "invalid number", "invalid integer", "string values must be quoted"]
            .iter()
            .any(|start| message.starts_with(start))
        {
            "put text, addresses and prefixes in double quotes".to_owned()
        } else if let Some((_, expected)) = message.split_once("expected ") {
            format!("write {expected}")
        } else {
            "correct the TOML here".to_owned()
        };
        self.add(error.span().unwrap_or_default(), message.to_owned(), fix);
    }

    /// The value that `parse` makes of what is written, or nothing and a problem.
    pub(super) fn value<W, T>(
        &mut self,
        written: &Spanned<W>,
        parse: impl Fn(&W) -> Result<T, Wrong>,
    ) -> Option<Spanned<T>> {
        match parse(written.get_ref()) {
            Ok(value) => Some(Spanned::new(written.span(), value)),
            Err(Wrong { message, fix }) => {
                self.add(written.span(), message, fix);
                None
            }
        }
    }

    /// [`Self::value`] of a string.
    pub(super) fn text<T>(
        &mut self,
        written: &Spanned<String>,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Spanned<T>> {
        self.value(written, |text| parse(text))
    }

    /// [`Self::text`] of each of a list.
    pub(super) fn list<T>(
        &mut self,
        many: &Many,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Vec<Spanned<T>> {
        many.0.iter().filter_map(|written| self.text(written, &parse)).collect()
    }

    /// The line that a value stands on.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.source.position(span.start).0
    }

    pub(super) fn into_error(self) -> ConfigError {
        ConfigError::Problems(self.problems)
    }

    /// An error if there was a problem.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() { Ok(()) } else { Err(self.into_error()) }
    }
}

/// The candidate that is most likely meant by `found`, if one is near enough to be.
fn nearest<'a>(found: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (edits(found, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(found.len()) / 2)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            left = (diagonal + usize::from(x != y)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, left);
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, distance) in [("", "abc", 3), ("abc", "", 3), ("dns", "dns", 0), ("kitten", "sitting", 3)]
        {
            assert_eq!(edits(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn far_words_are_not_suggested() {
        assert_eq!(nearest("pool", ["prefix", "pools", "dns"].into_iter()), Some("pools"));
        assert_eq!(nearest("ntp-servers", ["prefix", "pools", "dns"].into_iter()), None);
    }

    #[test]
    fn positions_count_characters() {
        let source = Source::new("f", "a\nü = x");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(7), (2, 5));
        assert_eq!(source.position(99), (2, 6));
    }
}
