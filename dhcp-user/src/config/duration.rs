//! Lease times as operators write and read them.

use dhcp_ebpf::abi::LeaseSecs;

const UNITS: [(&str, u32); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// The word for [`LeaseSecs::INFINITE`].
const INFINITE: &str = "infinite";

/// A lease time as the configuration writes it: `90s`, `1h`, `infinite`; the largest unit that divides it.
pub fn lease_text(lease: LeaseSecs) -> String {
    if lease == LeaseSecs::INFINITE {
        return INFINITE.to_owned();
    }
    let (unit, seconds) = UNITS
        .into_iter()
        .find(|(_, seconds)| lease.0 != 0 && lease.0.is_multiple_of(*seconds))
        .unwrap_or(("s", 1));
    format!("{}{unit}", lease.0 / seconds)
}

/// The lease time that a text says; nothing where it is malformed, or too long for option 51 without being infinite.
pub(super) fn parse(text: &str) -> Option<LeaseSecs> {
    if text == INFINITE {
        return Some(LeaseSecs::INFINITE);
    }
    let (unit, seconds) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    let count = text.strip_suffix(unit)?.trim_end();
    if !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let lease = LeaseSecs(count.parse::<u32>().ok()?.checked_mul(seconds)?);
    (lease != LeaseSecs::INFINITE).then_some(lease)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        for (text, seconds) in
            [("90s", 90), ("5m", 300), ("1h", 3_600), ("7h", 25_200), ("6d", 518_400), ("1w", 604_800)]
        {
            assert_eq!(parse(text), Some(LeaseSecs(seconds)), "{text}");
            assert_eq!(lease_text(LeaseSecs(seconds)), text);
        }
        assert_eq!(parse("infinite"), Some(LeaseSecs::INFINITE));
        assert_eq!(lease_text(LeaseSecs::INFINITE), "infinite");
        assert_eq!(lease_text(LeaseSecs(0)), "0s");
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "h",
            "1",
            "-1h",
            "+1h",
            "1.5h",
            "1h30m",
            "1 fortnight",
            "4294967295s",
            "9999999w",
            "INFINITE",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
