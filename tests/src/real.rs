//! Debian's DHCP clients, run as a host would run them: dhclient, udhcpc and dhcpcd, with the offloads that the
//! kernel gives. Owns their command lines and reads what they report through their own hook; every file that
//! they touch is the namespace's ([`Namespace`]).

use std::{
    fs, io,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt as _,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::lab::{Namespace, Process, SCRATCH};

/// How long a client may take for anything: its first DISCOVER may wait for seconds by itself.
const PATIENCE: Duration = Duration::from_secs(90);

/// What each client calls after an event, with the event's name and values in its own variables: one line a
/// call, `<event> <address>`, behind the whole environment; and the address goes to the interface, as each
/// distribution's hook would do it. dhcpcd does that by itself.
const HOOK: &str = r#"#!/bin/sh
event=${reason:-$1}
address=${new_ip_address:-$ip}
{ echo "--- $event"; env; } >> "$LAB_LOG.env"
case "$event" in
    BOUND|RENEW|REBIND|REBOOT|bound|renew)
        [ -n "$LAB_KEEPS_ADDRESS" ] || ip address replace "$address/${new_subnet_mask:-$subnet}" dev "$interface" ;;
    RELEASE|EXPIRE|FAIL|deconfig)
        [ -n "$LAB_KEEPS_ADDRESS" ] || ip address flush dev "$interface" ;;
esac
echo "$event $address" >> "$LAB_LOG"
"#;

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// isc-dhcp-client.
    Dhclient,
    /// Busybox's client.
    Udhcpc,
    /// dhcpcd 9.
    Dhcpcd,
}

/// What a client reports through its hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has got an address.
    Bound(Ipv4Addr),
    /// A renewal was answered and the answer accepted.
    Renewed(Ipv4Addr),
}

/// A running client on one interface.
#[derive(Debug)]
pub struct RealClient<'a> {
    program: Program,
    namespace: &'a Namespace,
    interface: &'a str,
    process: Process,
}

impl<'a> RealClient<'a> {
    /// Starts the client.
    ///
    /// # Panics
    /// If it is not installed: a test that can't run fails.
    #[must_use]
    pub fn start(program: Program, namespace: &'a Namespace, interface: &'a str) -> Self {
        let hook = hook_path();
        namespace.run(|| install(&hook, HOOK)).expect("a hook");
        let mut command = program.command(namespace, interface);
        command.env("LAB_LOG", log_path(interface));
        let mut process = Process::spawn(command);
        process.collect_stdout();
        Self { program, namespace, interface, process }
    }

    /// What it has reported so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let log = self.namespace.read(&log_path(self.interface)).unwrap_or_default();
        log.lines().filter_map(event).collect()
    }

    /// How many renewals it has reported.
    #[must_use]
    pub fn renewals(&self) -> u64 {
        self.events().iter().filter(|event| matches!(event, Event::Renewed(_))).count() as u64
    }

    /// Waits for its lease.
    ///
    /// # Panics
    /// If it reports none.
    #[must_use]
    pub fn lease(&self) -> Ipv4Addr {
        self.wait("a lease", |events| match events.first() {
            Some(Event::Bound(address) | Event::Renewed(address)) => Some(*address),
            None => None,
        })
    }

    /// Waits until it has reported at least `count` renewals, and returns how many. udhcpc is told to renew,
    /// because it takes every lease for one of at least two minutes; the others renew by their own T1.
    ///
    /// # Panics
    /// If it does not report as many.
    pub fn wait_for_renewals(&self, count: u64) -> u64 {
        while self.program == Program::Udhcpc && self.renewals() < count {
            let next = self.renewals() + 1;
            self.process.signal(Signal::SIGUSR1);
            self.wait("a renewal", |_| (self.renewals() >= next).then_some(()));
        }
        self.wait("renewals", |_| (self.renewals() >= count).then_some(self.renewals()))
    }

    /// Makes it give its lease back, and ends it.
    ///
    /// # Panics
    /// If it does not end.
    pub fn release(mut self) {
        match self.program {
            Program::Udhcpc => {
                self.process.signal(Signal::SIGUSR2);
                self.process.signal(Signal::SIGTERM);
            }
            Program::Dhclient | Program::Dhcpcd => {
                let output = self.program.release_command(self.namespace, self.interface).output();
                let output = output.expect("the client's own release");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
        }
        assert!(self.process.wait(PATIENCE).is_some(), "{:?} goes on after its release", self.program);
    }

    fn wait<T>(&self, what: &str, found: impl Fn(&[Event]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found(&self.events()) {
                return found;
            }
            assert!(Instant::now() < deadline, "{:?} reports no {what}: {:?}", self.program, self.events());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Program {
    /// The client in the foreground.
    fn command(self, namespace: &Namespace, interface: &str) -> Command {
        let hook = hook_path();
        match self {
            Self::Dhclient => {
                let mut command = Self::dhclient(namespace, interface);
                command.args(["-d", interface]);
                command
            }
            Self::Udhcpc => {
                let mut command = namespace.command("udhcpc");
                command.args(["-f", "-i", interface, "-s", &hook]);
                command
            }
            Self::Dhcpcd => {
                let mut command = namespace.command("dhcpcd");
                // Without -A it probes for conflicts for seconds, longer than these tests' leases are.
                command.args(["-B", "-4", "-A", "-c", &hook, interface]).env("LAB_KEEPS_ADDRESS", "1");
                command
            }
        }
    }

    fn release_command(self, namespace: &Namespace, interface: &str) -> Command {
        let mut command = match self {
            Self::Dhclient => {
                let mut command = Self::dhclient(namespace, interface);
                command.args(["-r", interface]);
                command
            }
            Self::Udhcpc | Self::Dhcpcd => {
                let mut command = namespace.command("dhcpcd");
                command.args(["-4", "-k", interface]);
                command
            }
        };
        command.env("LAB_LOG", log_path(interface));
        command
    }

    fn dhclient(namespace: &Namespace, interface: &str) -> Command {
        let mut command = namespace.command("dhclient");
        command.args(["-4", "-v", "-sf", &hook_path()]);
        command.args(["-pf", &format!("{SCRATCH}/{interface}.pid")]);
        command.args(["-lf", &format!("{SCRATCH}/{interface}.leases")]);
        // dhclient hands its own environment on only where it is told to.
        command.args(["-e", &format!("LAB_LOG={}", log_path(interface))]);
        command
    }
}

/// dhclient and dhcpcd say RENEW, udhcpc says renew; a rebinding is a renewal by another path.
fn event(line: &str) -> Option<Event> {
    let (name, address) = line.split_once(' ')?;
    let address = address.parse().ok()?;
    match name {
        "BOUND" | "REBOOT" | "bound" => Some(Event::Bound(address)),
        "RENEW" | "REBIND" | "renew" => Some(Event::Renewed(address)),
        _ => None,
    }
}

fn hook_path() -> String {
    format!("{SCRATCH}/hook")
}

fn log_path(interface: &str) -> String {
    format!("{SCRATCH}/{interface}.log")
}

fn install(path: &str, script: &str) -> io::Result<()> {
    fs::write(path, script)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
