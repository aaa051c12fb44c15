//! Runs other programs: says what it does, shows that it goes on, and fails with the program's own words.
//!
//! It must not know what the programs are for.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::unistd::Uid;

use crate::bpf_toolchain;

/// How much of a failed program's output is shown.
const TAIL_LINES: usize = 25;

/// Says what comes next.
pub(crate) fn step(what: &str) {
    println!("==> {what}");
}

/// A command that finds cargo's own programs.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", bpf_toolchain::search_path());
    command
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    Uid::effective().is_root()
}

/// A command that runs as root: by `sudo` where this process is not.
pub(crate) fn root_command(program: &str) -> Result<Command> {
    if is_root() {
        return Ok(command(program));
    }
    ensure!(find("sudo").is_some(), "this needs root, and there is no sudo: run it as root");
    // It may ask for a password, which a program with its output in a log file could not show.
    let status = command("sudo").arg("--validate").status().context("cannot start sudo")?;
    ensure!(status.success(), "sudo refused: run this as root");
    let mut sudo = command("sudo");
    sudo.arg(program);
    Ok(sudo)
}

/// Where a program is: on `PATH`, or in the system's directories, which an ordinary user's `PATH` may lack.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = bpf_toolchain::search_path();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Whether a command succeeds; its output is nobody's.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// Runs a program that shows its own progress on our output.
pub(crate) fn show(what: &str, command: &mut Command) -> Result<()> {
    step(what);
    let status = command.status().with_context(|| cannot_start(command))?;
    check(what, status)
}

/// Like [`show`], and hands each line of the program's standard output to `see` as well.
pub(crate) fn show_lines(what: &str, command: &mut Command, mut see: impl FnMut(&str)) -> Result<()> {
    step(what);
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            see(&line);
        }
    }
    check(what, child.wait()?)
}

/// Runs a long program whose output is for a log file alone, shows the time that passes, and on failure the
/// output's end.
pub(crate) fn quiet(what: &str, command: &mut Command) -> Result<()> {
    step(what);
    let log = log_file(command)?;
    let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
    let started = Instant::now();
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut child = command.spawn().with_context(|| cannot_start(command))?;
    let terminal = io::stdout().is_terminal();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if terminal {
            print!("\r    {} s ", started.elapsed().as_secs());
            io::stdout().flush()?;
        }
        thread::sleep(Duration::from_millis(100));
    };
    if terminal {
        print!("\r");
    }
    if !status.success() {
        println!("{}", tail(&log)?);
        bail!("{what}: failed ({status}); everything that it said is in {}", log.display());
    }
    println!("    done in {} s", started.elapsed().as_secs());
    Ok(())
}

/// The directory that cargo builds into: it has put this program into `debug` there.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let this = std::env::current_exe().context("finding xtask's own path")?;
    let dir = this.ancestors().nth(2).context("xtask is not in a target directory")?;
    Ok(dir.to_owned())
}

fn log_file(command: &Command) -> Result<PathBuf> {
    let dir = target_dir()?.join("xtask");
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    Ok(dir.join(program).with_extension("log"))
}

fn tail(log: &Path) -> Result<String> {
    let text = fs::read(log).with_context(|| format!("reading {}", log.display()))?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start {}", command.get_program().display())
}

fn check(what: &str, status: ExitStatus) -> Result<()> {
    ensure!(status.success(), "{what}: failed ({status})");
    Ok(())
}
