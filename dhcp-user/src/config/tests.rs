//! What the file alone can get wrong, and how it is told.

use super::*;

/// Each problem of a file called `f`, as `line:column: message; fix`.
fn problems(text: &str) -> Vec<String> {
    match Config::parse("f", text) {
        Ok(config) => panic!("{config:?}"),
        Err(ConfigError::Problems(problems)) => problems
            .iter()
            .map(|problem| problem.to_string().strip_prefix("f:").unwrap().to_owned())
            .collect(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn nothing_is_needed() {
    for text in ["", "[subnet]", "[store]\n[subnet]\n"] {
        let config = Config::parse("f", text).unwrap();
        assert_eq!(config.horizon, DEFAULT_HORIZON);
        assert!(config.prefix.is_none() && config.pools.is_none() && config.reservations.is_empty());
    }
}

#[test]
fn everything_is_read() {
    let config = Config::parse(
        "f",
        r#"
        [subnet]
        prefix = "192.0.2.0/24"
        pools = ["192.0.2.10-192.0.2.20", "192.0.2.32/28"]
        lease-time = "12h"
        router = "192.0.2.1"
        dns = ["192.0.2.53", "192.0.2.54"]
        domain = "example.net"
        [[reservation]]
        mac = "02:00:00:00:00:01"
        address = "192.0.2.5"
        [store]
        horizon = 3
        "#,
    )
    .unwrap();
    assert_eq!(config.prefix.unwrap().into_inner().to_string(), "192.0.2.0/24");
    let pools: Vec<_> = config.pools.unwrap().iter().map(|pool| pool.get_ref().to_string()).collect();
    assert_eq!(pools, ["192.0.2.10-192.0.2.20", "192.0.2.32-192.0.2.47"]);
    assert_eq!(config.lease, Some(LeaseSecs(43_200)));
    assert_eq!(config.routers.unwrap().len(), 1);
    assert_eq!(config.dns.unwrap().len(), 2);
    assert_eq!(config.domain.as_deref(), Some("example.net"));
    assert_eq!(config.reservations[0].0, Mac([2, 0, 0, 0, 0, 1]));
    assert_eq!(config.horizon, 3);
}

#[test]
fn an_empty_list_says_none() {
    let config = Config::parse("f", "[subnet]\ndns = []\nrouter = []").unwrap();
    assert_eq!(config.dns, Some(vec![]));
    assert!(config.routers.unwrap().is_empty());
}

#[test]
fn lease_times_are_texts_or_seconds() {
    for (written, lease) in [("90", 90), ("\"90s\"", 90), ("\"7d\"", 604_800), ("\"infinite\"", u32::MAX)] {
        let config = Config::parse("f", &format!("[subnet]\nlease-time = {written}")).unwrap();
        assert_eq!(config.lease, Some(LeaseSecs(lease)), "{written}");
    }
    for (written, message) in [
        ("0", "2:14: a lease of no time is no lease; "),
        ("\"0h\"", "2:14: a lease of no time is no lease; "),
        ("-1", "2:14: -1 seconds do not fit option 51; "),
        ("4294967295", "2:14: 4294967295 seconds do not fit option 51; "),
        ("\"soon\"", "2:14: \"soon\" is not a lease time; write seconds"),
        (
            "1.5",
            "2:14: invalid type: floating point `1.5`, expected a string like \"1h\", or seconds; write a string",
        ),
    ] {
        let problem = &problems(&format!("[subnet]\nlease-time = {written}"))[0];
        assert!(problem.starts_with(message), "{problem}");
    }
}

#[test]
fn unknown_keys_name_the_nearest() {
    for (text, start, end) in [
        ("[subnet]\nlease_time = 5", "2:1: unknown field `lease_time`", "did you mean `lease-time`?"),
        ("[subnet]\n  pool = []", "2:3: unknown field `pool`", "did you mean `pools`?"),
        ("[subnets]", "1:2: unknown field `subnets`", "did you mean `subnet`?"),
        ("[subnet]\ncolour-of-cables = 1", "2:1: unknown field `colour-of-cables`", "; remove it"),
        (
            "[[reservation]]\nmac = \"\"\nadress = \"\"",
            "3:1: unknown field `adress`",
            "did you mean `address`?",
        ),
    ] {
        let problem = &problems(text)[0];
        assert!(problem.starts_with(start) && problem.ends_with(end), "{problem}");
    }
}

#[test]
fn what_toml_or_serde_refuses_has_a_place_and_a_fix() {
    for (text, start, end) in [
        ("[subnet]\ndomain = 5", "2:10: invalid type: integer `5`, expected a string", "; write a string"),
        ("[subnet]\nrouter = [5]", "2:11: invalid type: integer `5`, expected a string", "; write a string"),
        ("[subnet]\nrouter = 5", "2:10: invalid type", "; write a string or a list of strings"),
        ("[[reservation]]\nmac = \"\"", "1:1: missing field `address`", "; add `address = …`"),
        ("[subnet]\ndns = []\ndns = []", "3:1: duplicate key", "; keep one of the two"),
        ("[subnet\n", "1:8: ", ""),
    ] {
        let problem = &problems(text)[0];
        assert!(problem.starts_with(start) && problem.ends_with(end), "{problem}");
    }
}

#[test]
fn all_bad_values_are_told_at_once() {
    let found = problems(
        r#"[subnet]
prefix = "192.0.2.7/24"
pools = ["192.0.2.20-192.0.2.10", "x"]
router = "192.0.2"
dns = ["0.0.0.0"]
domain = "a b"
[[reservation]]
mac = "02:00"
address = "192.0.2.256"
[store]
horizon = 0
"#,
    );
    let starts = [
        "2:10: 192.0.2.7/24 is an address in a prefix, not a prefix; write \"192.0.2.0/24\"",
        "3:10: the pool runs backwards, from 192.0.2.20 to 192.0.2.10; write \"192.0.2.10-192.0.2.20\"",
        "3:35: \"x\" is not an IPv4 prefix or range; write a prefix like",
        "4:10: \"192.0.2\" is not an IPv4 address; ",
        "5:8: 0.0.0.0 is no host's address; ",
        "6:10: \"a b\" is not a domain name; ",
        "8:7: \"02:00\" is not a MAC; ",
        "9:11: \"192.0.2.256\" is not an IPv4 address; ",
        "11:11: a horizon of 0 lease times is of no use; ",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (problem, start) in found.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem} is not {start}");
    }
}

#[test]
fn what_is_given_twice_is_refused() {
    assert_eq!(
        problems("[subnet]\npools = [\"10.0.0.1-10.0.0.9\", \"10.0.0.8/30\"]"),
        ["2:31: pool 10.0.0.8-10.0.0.11 overlaps pool 10.0.0.1-10.0.0.9; let each address be in one pool"]
    );
    let reservation = "[[reservation]]\nmac = \"02:00:00:00:00:01\"\naddress = \"10.0.0.1\"\n";
    assert_eq!(
        problems(&reservation.repeat(2)),
        [
            "5:7: 02:00:00:00:00:01 already has a reservation, on line 2; give each MAC one address",
            "6:11: 10.0.0.1 is already reserved, on line 3; give each MAC an address of its own",
        ]
    );
}

#[test]
fn an_option_has_an_end() {
    let servers = vec!["\"10.0.0.1\""; 64].join(",");
    let found = problems(&format!("[subnet]\ndns = [{servers}]"));
    assert!(found[0].contains("room for 63 addresses, 64 are listed"), "{found:?}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::read(Path::new("/nonexistent/dhcp.toml")).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read the configuration /nonexistent/dhcp.toml: No such file"),
        "{error}"
    );
}
