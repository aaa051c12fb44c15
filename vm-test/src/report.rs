//! What the guest says to the host: lines of JSON on the console, behind a mark that the kernel's messages lack.
//!
//! Two programs hold this file, so that they never differ: `vm-test`, which writes the lines, and `xtask`, which
//! reads them. It must not know what is checked.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Begins each of these lines.
const MARK: &str = "vm-test: ";

/// One line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// A check has ended.
    Check {
        /// Its name.
        name: String,
        /// Whether all was as expected.
        passed: bool,
        /// What it found, or what was wrong.
        said: String,
    },
    /// All checks have ended.
    End {
        /// How many there were.
        checks: u32,
        /// How many of them did not pass.
        failed: u32,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        write!(f, "{MARK}{json}")
    }
}

impl FromStr for Line {
    type Err = NotALine;

    fn from_str(text: &str) -> Result<Self, NotALine> {
        let json = text.trim().strip_prefix(MARK).ok_or(NotALine)?;
        serde_json::from_str(json).map_err(|_| NotALine)
    }
}

/// The text is something else's, or is garbled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotALine;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let said = "two\nlines, \"quoted\"".to_owned();
        for line in
            [Line::Check { name: "load".to_owned(), passed: false, said }, Line::End { checks: 2, failed: 1 }]
        {
            let text = line.to_string();
            assert!(!text.contains('\n'), "{text}");
            assert_eq!(format!("{text}\r").parse(), Ok(line));
        }
        assert_eq!("[    1.0] vm-test: {".parse::<Line>(), Err(NotALine));
    }
}
