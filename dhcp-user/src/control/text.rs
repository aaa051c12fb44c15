//! Leases and counters as text for people. Pure: what is printed where is the caller's.

use super::{Counts, LeaseState, LeaseView, RenewedBy, StatsView};
use std::fmt::Write;

/// A table of leases, in the order given, with a line of titles. A client's own words are escaped, so that they
/// cannot command the terminal.
pub fn lease_table(leases: &[LeaseView]) -> String {
    let titles =
        ["ADDRESS", "STATE", "EXPIRES IN", "RENEWED BY", "MAC", "CLIENT ID", "HOST NAME"].map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(titles).chain(leases.iter().map(row)).collect();
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let line = text.len();
        for (cell, width) in row.iter().zip(widths) {
            push(&mut text, format_args!("{cell:<width$}  "));
        }
        text.truncate(text.trim_end().len().max(line));
        text.push('\n');
    }
    text
}

/// A long identifier by its beginning: JSON has all of it.
fn shortened(id: &str) -> String {
    const SHOWN: usize = 40;
    if id.chars().count() <= SHOWN { id.to_owned() } else { id.chars().take(SHOWN).chain(['…']).collect() }
}

fn row(lease: &LeaseView) -> [String; 7] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let has_end = matches!(lease.state, LeaseState::Offered | LeaseState::Bound | LeaseState::Quarantined);
    [
        lease.address.to_string(),
        match lease.state {
            LeaseState::Offered => "offered",
            LeaseState::Bound => "bound",
            LeaseState::Closing => "closing",
            LeaseState::Quarantined => "quarantined",
            LeaseState::Free => "free",
        }
        .to_owned(),
        or_dash(has_end.then(|| lease.expires_in.map_or_else(|| "never".to_owned(), clock))),
        or_dash(lease.renewed_by.map(|by| match by {
            RenewedBy::Kernel => "kernel".to_owned(),
            RenewedBy::Daemon => "daemon".to_owned(),
        })),
        or_dash(lease.mac.clone()),
        or_dash(Some(shortened(&lease.client_id)).filter(|id| !id.is_empty())),
        or_dash(lease.host_name.as_ref().map(|name| name.escape_debug().to_string())),
    ]
}

/// The counters under titles. What never happened is left out.
pub fn stats_text(stats: &StatsView) -> String {
    let slow_path = stats.slow_path.iter().flat_map(|(message, outcomes)| {
        outcomes.iter().map(move |(outcome, count)| (format!("{message} {outcome}"), *count))
    });
    let slow_path: Counts = slow_path.collect();
    let sections = [
        ("addresses", &stats.addresses),
        ("fast path", &stats.fast_path),
        ("slow path", &slow_path),
        ("sockets", &stats.sockets),
        ("store", &stats.store),
    ];
    let happened = || sections.iter().flat_map(|(_, counts)| counts.iter()).filter(|(_, count)| **count > 0);
    let names = happened().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let digits = happened().map(|(_, count)| count.to_string().len()).max().unwrap_or_default();

    let mut text = String::new();
    push(&mut text, format_args!("interface  {}\nmode       {}\n", stats.interface, stats.mode));
    push(&mut text, format_args!("uptime     {}\n", clock(stats.uptime)));
    for (title, counts) in sections {
        let mut counts = counts.iter().filter(|(_, count)| **count > 0).peekable();
        if counts.peek().is_some() {
            push(&mut text, format_args!("\n{title}\n"));
        }
        for (name, count) in counts {
            push(&mut text, format_args!("  {name:<names$}  {count:>digits$}\n"));
        }
    }
    text
}

/// Seconds as `hh:mm:ss`, with days before them where there are any.
fn clock(seconds: u64) -> String {
    let (minutes, second) = (seconds / 60, seconds % 60);
    let (hours, minute) = (minutes / 60, minutes % 60);
    let (days, hour) = (hours / 24, hours % 24);
    let days = if days > 0 { format!("{days}d ") } else { String::new() };
    format!("{days}{hour:02}:{minute:02}:{second:02}")
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(address: [u8; 4], state: LeaseState) -> LeaseView {
        LeaseView {
            address: address.into(),
            client_id: "01020000000001".to_owned(),
            mac: Some("02:00:00:00:00:01".to_owned()),
            host_name: None,
            state,
            expires_in: Some(3_599),
            expires_at: Some(1_800_000_000),
            renewed_by: Some(RenewedBy::Kernel),
        }
    }

    #[test]
    fn leases_stand_in_columns() {
        let infinite = LeaseView {
            expires_in: None,
            expires_at: None,
            renewed_by: Some(RenewedBy::Daemon),
            host_name: Some("a\u{1b}[2J".to_owned()),
            mac: None,
            ..lease([192, 0, 2, 100], LeaseState::Bound)
        };
        let free = LeaseView { renewed_by: None, ..lease([192, 0, 2, 7], LeaseState::Free) };
        assert_eq!(
            lease_table(&[lease([192, 0, 2, 5], LeaseState::Bound), infinite, free]),
            "ADDRESS      STATE  EXPIRES IN  RENEWED BY  MAC                CLIENT ID       HOST NAME\n\
             192.0.2.5    bound  00:59:59    kernel      02:00:00:00:00:01  01020000000001  -\n\
             192.0.2.100  bound  never       daemon      -                  01020000000001  a\\u{1b}[2J\n\
             192.0.2.7    free   -           -           02:00:00:00:00:01  01020000000001  -\n"
        );
    }

    #[test]
    fn no_lease_is_a_line_of_titles() {
        assert_eq!(lease_table(&[]).lines().count(), 1);
    }

    #[test]
    fn counters_leave_out_what_never_happened() {
        let counts = |pairs: &[(&str, u64)]| -> Counts {
            pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let stats = StatsView {
            interface: "eth0".to_owned(),
            mode: "native".to_owned(),
            uptime: 93_784,
            addresses: counts(&[("total", 253), ("quarantined", 0)]),
            fast_path: counts(&[("answered renewing", 1_234_567), ("pass: not DHCP", 3)]),
            slow_path: [("discover".to_owned(), counts(&[("offered", 2), ("no address", 0)]))].into(),
            sockets: counts(&[("dropped", 0)]),
            store: Counts::new(),
        };
        assert_eq!(
            stats_text(&stats),
            "interface  eth0\nmode       native\nuptime     1d 02:03:04\n\
             \naddresses\n  total                  253\n\
             \nfast path\n  answered renewing  1234567\n  pass: not DHCP           3\n\
             \nslow path\n  discover offered         2\n"
        );
    }
}
