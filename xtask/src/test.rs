//! `cargo xtask test`: formatting, lints of both sides, and every test, with the daemon itself and as root.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{
    bpf_toolchain::{self, CORE_IS_BUILT, TARGET},
    compile::{self, Profile},
    setup, shell,
};

/// What `test` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the tests whose name contains one of these, and no other check
    filters: Vec<String>,
}

/// Tests that ran, by outcome.
#[derive(Default)]
struct Count {
    passed: u32,
    ignored: u32,
}

/// Sets up, checks, tests, and says in its last line what passed.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::for_tests()?;
    if !args.filters.is_empty() {
        let Count { passed, ignored } = tests(&args.filters)?;
        ensure!(passed > 0, "no test has a name with {}", args.filters.join(" or "));
        println!("tests that match: {passed} passed, {ignored} ignored; nothing else was checked");
        return Ok(());
    }
    shell::show("checking the format", shell::command("cargo").args(["fmt", "--all", "--check"]))?;
    let mut clippy = shell::command("cargo");
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    shell::show("clippy on the host side", &mut clippy)?;
    shell::show("clippy on the BPF side", &mut bpf_clippy()?)?;
    let Count { passed, ignored } = tests(&args.filters)?;
    println!("all passed: format; clippy on host and BPF; tests: {passed} passed, {ignored} ignored");
    Ok(())
}

/// The lints of the BPF side, by its own toolchain and as `dhcp-user/build.rs` builds it.
fn bpf_clippy() -> Result<Command> {
    let toolchain = bpf_toolchain::find().context("no Rust toolchain for BPF")?;
    let mut clippy = shell::command("rustup");
    clippy.args(["run", &toolchain.name, "cargo", "clippy", "--package", "dhcp-ebpf", "--lib", "--bins"]);
    clippy.args(["--release", "--target", TARGET]);
    // In a directory of its own, for the compilers differ.
    clippy.arg("--target-dir").arg(shell::target_dir()?.join("xtask/bpf"));
    if toolchain.bootstrap != Some(CORE_IS_BUILT) {
        clippy.args(["-Z", "build-std=core"]);
    }
    if let Some(bootstrap) = toolchain.bootstrap {
        clippy.env("RUSTC_BOOTSTRAP", bootstrap);
    }
    clippy.args(["--", "-D", "warnings"]);
    Ok(clippy)
}

/// Runs the tests as root, which namespaces and BPF want, but builds them as whoever this is.
fn tests(filters: &[String]) -> Result<Count> {
    let daemon = compile::daemon(Profile::Dev)?;
    let mut test = shell::command("cargo");
    test.args(["test", "--workspace", "--no-fail-fast", "--"]).args(filters);
    test.env("DHCP_USER_BIN", daemon);
    if !shell::is_root() {
        // Asks for the password before the long build.
        shell::root_command("true")?;
        test.env(runner_variable()?, "sudo --preserve-env");
    }
    let mut count = Count::default();
    shell::show_lines("tests", &mut test, |line| count.add(line))?;
    Ok(count)
}

/// The environment variable that names the program through which cargo starts what it built for the host.
fn runner_variable() -> Result<String> {
    let output = shell::command("rustc").arg("-vV").output().context("cannot start rustc")?;
    let about = String::from_utf8_lossy(&output.stdout);
    let host =
        about.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not name its host")?;
    Ok(format!("CARGO_TARGET_{}_RUNNER", host.to_uppercase().replace('-', "_")))
}

impl Count {
    /// Adds what a line of libtest's says: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let words: Vec<&str> = result.split([' ', ';']).collect();
        for pair in words.windows(2) {
            let [number, outcome] = pair else { continue };
            match *outcome {
                "passed" => self.passed += number.parse().unwrap_or(0),
                "ignored" => self.ignored += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn results_add_up() {
        let mut count = Count::default();
        count.add("running 3 tests");
        count.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        count.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out");
        assert_eq!((count.passed, count.ignored), (5, 1));
    }
}
