//! The server under test: the real binary, in a namespace, with its state in the namespace's own memory. Owns its
//! start, its end, and what it tells about itself; looks into no file of its.

use std::{
    env,
    io::{BufRead as _, BufReader},
    net::Ipv4Addr,
    path::PathBuf,
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::lab::{Namespace, Process};

/// How long a start or an orderly end may take.
const PATIENCE: Duration = Duration::from_secs(60);
const STATE: &str = "/run/lab/state";
const CONFIG: &str = "/run/lab/dhcp-user.toml";

/// How a server is started.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The interface that it serves.
    pub interface: &'a str,
    /// The text of its configuration; empty for none.
    pub config: &'a str,
    /// `--mode`.
    pub mode: &'a str,
}

impl Setup<'_> {
    /// The command line; the configuration is written to where it says.
    fn arguments(self, namespace: &Namespace) -> Vec<String> {
        let words = ["serve", "--iface", self.interface, "--state", STATE, "--mode", self.mode];
        let mut arguments: Vec<String> = words.map(Into::into).into();
        if !self.config.is_empty() {
            namespace.write(CONFIG, self.config);
            arguments.extend(["--config".into(), CONFIG.into()]);
        }
        arguments
    }
}

/// A running server. It is killed with the value.
#[derive(Debug)]
pub struct Daemon {
    namespace: Namespace,
    arguments: Vec<String>,
    process: Process,
}

impl Daemon {
    /// Starts a server and waits until it says `ready`.
    ///
    /// # Panics
    /// If it ends, or is not ready in time.
    #[must_use]
    pub fn start(namespace: &Namespace, setup: Setup<'_>) -> Self {
        let arguments = setup.arguments(namespace);
        let process = launch(namespace, &arguments);
        Self { namespace: namespace.clone(), arguments, process }
    }

    /// Starts a server that must refuse to serve, and returns what it says about it.
    ///
    /// # Panics
    /// If it does not end in time, or ends with success.
    #[must_use]
    pub fn refusal(namespace: &Namespace, setup: Setup<'_>) -> String {
        let mut command = namespace.command(binary());
        command.args(setup.arguments(namespace));
        let mut process = Process::spawn(command);
        process.collect_stdout();
        let (status, said) = process.end(PATIENCE);
        assert!(!status.success(), "it ends with success: {said}");
        said
    }

    /// Kills it with SIGKILL, as a crash would end it.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Ends it as its operator would, with SIGTERM.
    ///
    /// # Panics
    /// If it does not end in time, or with a failure.
    pub fn terminate(&mut self) {
        self.process.signal(Signal::SIGTERM);
        let status = self.process.wait(PATIENCE).expect("SIGTERM ends the server");
        assert!(status.success(), "{status}: {}", self.process.said());
    }

    /// Waits until it ends by itself, with a failure, and returns what it said.
    ///
    /// # Panics
    /// If it goes on, or ends with success.
    #[must_use]
    pub fn fails(&mut self) -> String {
        let status = self.process.wait(PATIENCE).expect("the server ends");
        assert!(!status.success(), "it ends with success: {}", self.process.said());
        self.process.said()
    }

    /// Starts it again after its end, on the same state.
    pub fn restart(&mut self) {
        self.process = launch(&self.namespace, &self.arguments);
    }

    /// What it counts.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats(self.query("stats"))
    }

    /// Its leases, one object each.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn leases(&self) -> Vec<Value> {
        match self.query("leases") {
            Value::Array(leases) => leases,
            other => panic!("leases --json is not a list: {other}"),
        }
    }

    /// Whether it has a lease of that address in the state `bound`.
    #[must_use]
    pub fn is_bound(&self, address: Ipv4Addr) -> bool {
        let address = Value::from(address.to_string());
        self.leases().iter().any(|lease| lease["address"] == address && lease["state"] == "bound")
    }

    fn query(&self, what: &str) -> Value {
        let mut command = self.namespace.command(binary());
        let output = command.args([what, "--json", "--state", STATE]).output().expect("the binary");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what} --json: {}: {said}", output.status);
        serde_json::from_slice(&output.stdout).expect("--json gives JSON")
    }
}

/// What a server counts, as `stats --json` says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats(pub Value);

impl Stats {
    /// Packets that the fast path counted for a reason.
    ///
    /// # Panics
    /// Where there is no such reason: a misspelt one would never move.
    #[must_use]
    pub fn fast(&self, reason: &str) -> u64 {
        self.0["fast_path"][reason].as_u64().unwrap_or_else(|| panic!("no reason {reason} in {}", self.0))
    }

    /// Packets that the fast path answered.
    #[must_use]
    pub fn fast_answers(&self) -> u64 {
        ["ack-renewing", "ack-rebinding", "ack-init-reboot", "ack-selecting"]
            .iter()
            .map(|reason| self.fast(reason))
            .sum()
    }

    /// Messages of a type (`request`) that the slow path counted, over all outcomes.
    ///
    /// # Panics
    /// If there is no slow path.
    #[must_use]
    pub fn slow(&self, message: &str) -> u64 {
        let slow_path = self.0["slow_path"].as_object().expect("a section slow_path");
        let outcomes = slow_path.get(message).and_then(Value::as_object);
        outcomes.into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
    }

    /// Transactions that the store has committed.
    ///
    /// # Panics
    /// Where it does not say.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.0["store"]["commits"].as_u64().unwrap_or_else(|| panic!("no store.commits in {}", self.0))
    }
}

/// Starts the binary and waits for its line `ready`.
fn launch(namespace: &Namespace, arguments: &[String]) -> Process {
    let mut command: Command = namespace.command(binary());
    command.args(arguments);
    let mut process = Process::spawn(command);
    let stdout = BufReader::new(process.take_stdout());
    let (sender, lines) = mpsc::channel();
    // Reads to the end, so that the server never waits for a full pipe.
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line == "ready" => return process,
            Ok(_) => {}
            Err(error) => panic!("the server is not ready: {error}"),
        }
    }
}

/// `$DHCP_USER_BIN`, else the `dhcp-user` that cargo built beside this test.
fn binary() -> PathBuf {
    if let Some(path) = env::var_os("DHCP_USER_BIN") {
        return path.into();
    }
    let test = env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps");
    let binary = profile.join("dhcp-user");
    assert!(
        binary.exists(),
        "{} is missing: cargo build -p dhcp-user, or set DHCP_USER_BIN",
        binary.display()
    );
    binary
}
