//! The binary as a person meets it: one line that says what is wrong and what to do, and an exit code.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dhcp-user")).args(arguments).output().expect("the binary")
}

/// What a refusal says: one line on standard error.
fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(said.starts_with("dhcp-user: "), "{said}");
    said
}

#[test]
fn an_interface_that_is_not_there_is_refused_with_those_that_are() {
    let said = refusal(&["serve", "--iface", "nosuch0"]);
    assert!(said.contains("nosuch0") && said.contains("lo"), "{said}");
}

#[test]
fn the_loopback_is_refused() {
    assert!(refusal(&["serve", "--iface", "lo"]).contains("loopback"));
}

#[test]
fn a_daemon_that_does_not_run_is_said_to() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().to_str().unwrap();
    for question in ["leases", "stats"] {
        let said = refusal(&[question, "--state", path]);
        assert!(said.contains("no daemon") && said.contains(path), "{said}");
    }
}

#[test]
fn help_names_every_command() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for command in ["serve", "leases", "stats"] {
        assert!(help.contains(command), "{help}");
    }
}
