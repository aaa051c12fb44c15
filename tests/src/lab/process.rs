//! Programs that outlive a call: killed with their group when the value goes, and by the kernel when the test
//! process goes. Owns the thread that spawns them; knows nothing of what they are.

use std::{
    io::{self, Read},
    os::unix::process::CommandExt,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, LazyLock, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    said: Arc<Mutex<String>>,
    readers: Vec<thread::JoinHandle<()>>,
}

impl Process {
    /// Starts the program as the leader of a process group, its standard output piped and its standard error
    /// collected for the case that the test fails.
    ///
    /// # Panics
    /// If it can't be started: a test that can't run fails.
    #[must_use]
    pub fn spawn(mut command: Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn_from_lasting_thread(command).unwrap_or_else(|error| panic!("{name}: {error}"));
        let said = Arc::default();
        let reader = collect(child.stderr.take().expect("piped"), Arc::clone(&said));
        Self { name, child, said, readers: vec![reader] }
    }

    /// Its standard output, once.
    ///
    /// # Panics
    /// The second time.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("the output is taken once")
    }

    /// Collects its standard output beside its standard error.
    pub fn collect_stdout(&mut self) {
        let stdout = self.take_stdout();
        self.readers.push(collect(stdout, Arc::clone(&self.said)));
    }

    /// What it has written so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lock().expect("no panic while appending").clone()
    }

    /// Sends a signal to the program alone.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("a child that was not waited for");
    }

    /// Kills the program and its group with SIGKILL and waits.
    pub fn kill9(&mut self) {
        // The group is gone where the program has ended by itself.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// Waits for its end, no longer than `patience`.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end and returns how it ended and everything that it and its own children wrote.
    ///
    /// # Panics
    /// If it does not end within `patience`.
    #[must_use]
    pub fn end(mut self, patience: Duration) -> (ExitStatus, String) {
        let status = self.wait(patience).unwrap_or_else(|| panic!("{} does not end", self.name));
        for reader in self.readers.drain(..) {
            reader.join().expect("no panic while collecting");
        }
        (status, self.said())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if thread::panicking() {
            eprintln!("--- {} said:\n{}---", self.name, self.said());
        }
    }
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<String>>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..count]);
            into.lock().expect("no panic while appending").push_str(&text);
        }
    })
}

/// A parent-death signal comes when the spawning *thread* ends (prctl(2)), and a test's thread ends with its
/// test; so one thread that never ends spawns what must live longer than a call.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static ORDERS: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, done) in orders {
                let _ = done.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (done, child) = mpsc::channel();
    ORDERS.lock().expect("no panic while sending").send((command, done)).expect("the thread never ends");
    child.recv().expect("the thread answers every order")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Namespace;

    #[test]
    fn a_process_outlives_the_thread_that_asked_for_it_and_dies_with_its_value() {
        let namespace = Namespace::new();
        let asked = thread::spawn(move || {
            let mut command = namespace.command("sleep");
            command.arg("600");
            Process::spawn(command)
        });
        let mut process = asked.join().expect("no panic");
        assert_eq!(process.wait(Duration::from_millis(300)), None);
        let pid = process.pid();
        drop(process);
        assert!(kill(pid, None).is_err());
    }

    #[test]
    fn what_it_says_is_kept() {
        let mut command = Namespace::new().command("sh");
        command.args(["-c", "echo out; echo err >&2"]);
        let mut process = Process::spawn(command);
        process.collect_stdout();
        let (status, said) = process.end(Duration::from_secs(30));
        assert!(status.success());
        assert!(said.contains("out\n") && said.contains("err\n"), "{said}");
    }
}
