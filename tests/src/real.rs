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

/// What each client calls after an event, with the event's name and its values in its own variables. It writes
/// one line, `<event> <address>`, and the whole environment beside it, to a file named like the hook.
const REPORT: &str = r#"#!/bin/sh
event=${reason:-$1}
address=${new_ip_address:-$ip}
{ echo "--- $event"; env; } >> "$0.env"
"#;

/// What dhclient and udhcpc leave to their hook: the address on the interface. (dhcpcd does that by itself.)
const CONFIGURE: &str = r#"
case "$event" in
    BOUND|RENEW|REBIND|REBOOT|bound|renew)
        ip address replace "$address/${new_subnet_mask:-$subnet}" dev "$interface" ;;
    RELEASE|EXPIRE|FAIL|deconfig)
        ip address flush dev "$interface" ;;
esac
"#;

/// Comes last, so that whoever reads the line finds the address configured.
const LOG: &str = r#"
echo "$event $address" >> "$0.log"
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
pub struct RealClient {
    program: Program,
    namespace: Namespace,
    interface: String,
    process: Process,
}

impl RealClient {
    /// Starts the client.
    ///
    /// # Panics
    /// If it is not installed: a test that can't run fails.
    #[must_use]
    pub fn start(program: Program, namespace: &Namespace, interface: &str) -> Self {
        let hook = hook_path(interface);
        let script = match program {
            Program::Dhclient | Program::Udhcpc => [REPORT, CONFIGURE, LOG].concat(),
            Program::Dhcpcd => [REPORT, LOG].concat(),
        };
        namespace.run(|| install(&hook, &script)).expect("a hook");
        namespace.write(&format!("{hook}.log"), "");
        let mut process = Process::spawn(program.command(namespace, interface));
        process.collect_stdout();
        Self { program, namespace: namespace.clone(), interface: interface.to_owned(), process }
    }

    /// What it has reported so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let log = self.namespace.read(&format!("{}.log", hook_path(&self.interface))).unwrap_or_default();
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
        self.wait("its renewals", |_| (self.renewals() >= count).then_some(self.renewals()))
    }

    /// Makes it give its lease back, and ends it.
    ///
    /// # Panics
    /// If it does not end.
    pub fn release(mut self) {
        match self.program {
            Program::Udhcpc => self.process.signal(Signal::SIGTERM),
            Program::Dhclient => {
                let mut release = Program::dhclient(&self.namespace, &self.interface);
                run(release.args(["-r", &self.interface]));
            }
            Program::Dhcpcd => run(self.namespace.command("dhcpcd").args(["-4", "-k", &self.interface])),
        }
        assert!(self.process.wait(PATIENCE).is_some(), "{:?} goes on after its release", self.program);
    }

    fn wait<T>(&self, what: &str, found: impl Fn(&[Event]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found(&self.events()) {
                return found;
            }
            assert!(Instant::now() < deadline, "{:?} reports not {what}: {:?}", self.program, self.events());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Program {
    /// The client in the foreground.
    fn command(self, namespace: &Namespace, interface: &str) -> Command {
        let hook = hook_path(interface);
        match self {
            Self::Dhclient => {
                let mut command = Self::dhclient(namespace, interface);
                command.args(["-d", interface]);
                command
            }
            Self::Udhcpc => {
                let mut command = namespace.command("udhcpc");
                // -R: the end of the program releases its lease.
                command.args(["-f", "-R", "-i", interface, "-s", &hook]);
                command
            }
            Self::Dhcpcd => {
                let mut command = namespace.command("dhcpcd");
                // Without -A it probes for conflicts for seconds, longer than these tests' leases are.
                command.args(["-B", "-4", "-A", "-c", &hook, interface]);
                command
            }
        }
    }

    fn dhclient(namespace: &Namespace, interface: &str) -> Command {
        let mut command = namespace.command("dhclient");
        command.args(["-4", "-v", "-sf", &hook_path(interface)]);
        command.args(["-pf", &format!("{SCRATCH}/{interface}.pid")]);
        command.args(["-lf", &format!("{SCRATCH}/{interface}.leases")]);
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

fn hook_path(interface: &str) -> String {
    format!("{SCRATCH}/{interface}.hook")
}

fn run(command: &mut Command) {
    let output = command.output().expect("the client's own program");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn install(path: &str, script: &str) -> io::Result<()> {
    fs::write(path, script)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
