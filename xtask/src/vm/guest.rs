//! A guest's life, from the start of QEMU to its verdict. Owns how it is started, watched and ended; knows nothing
//! of what it checks.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{kernel::Kernel, packages, report::Line};
use crate::shell;

const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGE: &str = "qemu-system-x86";

/// `thread=single`: with a thread for each CPU, kernels from 6.12 on panic when an XDP program is replaced under
/// traffic, which is QEMU's fault.
const MACHINE: &str = "-M q35 -accel tcg,thread=single -smp 2 -cpu max -m 512 -nodefaults -no-user-config \
                       -no-reboot -display none -serial stdio";
/// A card with nobody at the other end. XDP wants a queue for each CPU beside those of the stack.
const CARD: &str = "-netdev hubport,id=card,hubid=0 -device virtio-net-pci,netdev=card,romfile=";
/// What goes wrong in the kernel is a panic, a panic ends the guest, and that ends QEMU.
const APPEND: &str = "console=ttyS0 quiet net.ifnames=0 oops=panic panic_on_warn=1 panic=-1";

/// How long a guest may take in all. It boots in seconds; the verifier takes some more under TCG.
const PATIENCE: Duration = Duration::from_secs(180);

/// What the kernel begins the message with that it is in trouble.
const TROUBLE: [&str; 4] = ["Kernel panic", "Oops", "BUG: ", "WARNING: "];

/// A QEMU that can be started.
pub(super) struct Qemu {
    program: PathBuf,
    /// Where it was unpacked, if it is not the machine's own.
    unpacked: Option<PathBuf>,
}

impl Qemu {
    /// The machine's own, else Debian's unpacked: installed it might want to replace other parts of QEMU.
    pub(super) fn find() -> Result<Self> {
        if let Some(program) = shell::find(PROGRAM) {
            return Ok(Self { program, unpacked: None });
        }
        let root = packages::unpacked(PACKAGE, &packages::with_dependencies(PACKAGE)?)?;
        Ok(Self { program: root.join("usr/bin").join(PROGRAM), unpacked: Some(root) })
    }

    /// Boots a kernel with `initrd`, shows what the guest says, and returns how many checks passed. Everything else
    /// than a guest that ends by itself, with all checks passed, is an error in the guest's own words.
    pub(super) fn boot(&self, kernel: &Kernel, initrd: &Path) -> Result<u32> {
        let path = packages::cache()?.join(format!("{}.log", kernel.release));
        let mut log = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        let mut command = self.command();
        command.args(MACHINE.split_whitespace()).args(CARD.split_whitespace());
        command.arg("-kernel").arg(kernel.image()).arg("-initrd").arg(initrd).args(["-append", APPEND]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.try_clone()?);
        let mut guest = Guest(command.spawn().context("cannot start QEMU")?);
        guest.verdict(&mut log).with_context(|| format!("{} (its log: {})", kernel.release, path.display()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.unpacked {
            let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|dir| root.join(dir));
            // A `:` in the path would not be one of ours; the loader takes no other form.
            command.env("LD_LIBRARY_PATH", libraries.map(|dir| dir.display().to_string()).join(":"));
        }
        command
    }
}

/// A running QEMU, which ends with this value.
struct Guest(Child);

impl Guest {
    fn verdict(&mut self, log: &mut File) -> Result<u32> {
        let mut outcome = Outcome::default();
        let lines = self.lines()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    writeln!(log, "{line}")?;
                    outcome.add(&line);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    outcome.failures.push(format!("it hangs: no end after {} s", PATIENCE.as_secs()));
                    break;
                }
            }
        }
        if outcome.failures.is_empty() {
            let status = self.0.wait()?;
            ensure!(status.success(), "QEMU failed ({status})");
        }
        outcome.verdict()
    }

    /// The lines of the guest's console, as they come.
    fn lines(&mut self) -> Result<mpsc::Receiver<String>> {
        let console = self.0.stdout.take().context("QEMU's output is not piped")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(lines)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Neither works on a QEMU that has ended, and then neither is needed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the guest has said so far.
#[derive(Default)]
struct Outcome {
    passed: u32,
    failures: Vec<String>,
    end: Option<(u32, u32)>,
}

impl Outcome {
    fn add(&mut self, line: &str) {
        match line.parse() {
            Ok(Line::Check { name, passed: true, said }) => {
                println!("    ok    {name}: {said}");
                self.passed += 1;
            }
            Ok(Line::Check { name, passed: false, said }) => {
                println!("    FAIL  {name}: {said}");
                self.failures.push(format!("{name}: {}", said.lines().next().unwrap_or_default()));
            }
            Ok(Line::End { checks, failed }) => self.end = Some((checks, failed)),
            Err(_) => {
                println!("    | {line}");
                if TROUBLE.iter().any(|trouble| line.contains(trouble)) {
                    self.failures.push(line.to_owned());
                }
            }
        }
    }

    fn verdict(self) -> Result<u32> {
        if !self.failures.is_empty() {
            bail!("{}", self.failures.join("; "));
        }
        match self.end {
            Some((checks, 0)) if checks == self.passed && checks > 0 => Ok(checks),
            Some((checks, failed)) => {
                bail!("it ran {checks} checks, {failed} failed, and {} were heard to pass", self.passed)
            }
            None => bail!("it ended before its checks did"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(lines: &[&str]) -> Result<u32, String> {
        let mut outcome = Outcome::default();
        lines.iter().for_each(|line| outcome.add(line));
        outcome.verdict().map_err(|error| error.to_string())
    }

    #[test]
    fn only_a_guest_that_passed_everything_and_said_so_passes() {
        let passed = r#"vm-test: {"check":{"name":"load","passed":true,"said":"1"}}"#;
        let failed = r#"vm-test: {"check":{"name":"load","passed":false,"said":"no\nlog"}}"#;
        let end = |checks, failed| format!(r#"vm-test: {{"end":{{"checks":{checks},"failed":{failed}}}}}"#);
        assert_eq!(verdict(&[passed, &end(1, 0)]), Ok(1));
        assert_eq!(verdict(&[failed, &end(1, 1)]), Err("load: no".to_owned()));
        let panic = "[    1.0] Kernel panic - not syncing: Attempted to kill init!";
        assert_eq!(verdict(&[passed, panic]), Err(panic.to_owned()));
        assert!(verdict(&[passed]).is_err(), "no end");
        assert!(verdict(&[passed, &end(2, 0)]).is_err(), "one was lost");
        assert!(verdict(&[&end(0, 0)]).is_err(), "nothing was checked");
    }
}
