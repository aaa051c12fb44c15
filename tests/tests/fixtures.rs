//! Every fixture, as pure functions and through the loaded program.

use std::collections::BTreeSet;

use dhcp_ebpf::reason::Reason;
use dhcp_user::clock::Clock;
use tests::fixture::{Fixture, kernel::Kernel, pure::Pure};

/// What no fixture can show.
const NOT_STAGED: &[(&str, &str)] = &[
    // A frame of BPF_PROG_TEST_RUN is whole and has all the headroom: no helper refuses it.
    ("frame", "only a driver refuses to grow or write a frame"),
];

fn fixtures() -> Vec<Fixture> {
    Fixture::all().unwrap_or_else(|error| panic!("{error:#}"))
}

/// Runs the fixtures, and fails with all of those that failed.
fn run_all<'a>(
    fixtures: impl Iterator<Item = &'a Fixture>,
    mut run: impl FnMut(&Fixture) -> anyhow::Result<()>,
) {
    let failed: Vec<_> = fixtures
        .filter_map(|fixture| Some(format!("{}: {:#}", fixture.description, run(fixture).err()?)))
        .collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn the_pure_functions_do_what_every_fixture_says() {
    let mut pure = Pure::new(Clock::open().and_then(|clock| clock.boot_ns()).unwrap());
    let fixtures = fixtures();
    run_all(fixtures.iter().chain(fixtures.iter().rev()), |fixture| pure.run(fixture));
}

#[test]
fn the_loaded_program_does_what_every_fixture_says() {
    let fixtures = fixtures();
    let mut kernel = Kernel::load(fixtures.len() as u32 * 8).expect("BPF needs root");
    run_all(fixtures.iter().chain(fixtures.iter().rev()), |fixture| kernel.run(fixture));
}

#[test]
fn every_reason_has_a_fixture() {
    let fixtures = fixtures();
    let shown: BTreeSet<_> = fixtures.iter().map(|fixture| fixture.verdict.as_str()).collect();
    let missing: Vec<_> =
        Reason::ALL.iter().map(|reason| reason.name()).filter(|name| !shown.contains(name)).collect();
    assert_eq!(missing, NOT_STAGED.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}
