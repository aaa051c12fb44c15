//! The daemon's side. Nothing that a client does, or leaves undone, holds up the event loop: it gets whole
//! questions and gives whole answers, and these go out on threads of their own with a deadline.

use super::{ControlError, LeaseView, Reply, Request, StatsView, socket_path};
use std::{
    fs, io,
    io::{BufWriter, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream as BlockingStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, oneshot},
    time::{sleep, timeout},
};
use tracing::{debug, warn};

/// How many clients are served at once; others wait.
const CLIENTS_MAX: usize = 8;
/// The longest question, in octets.
const REQUEST_MAX: u64 = 4096;
/// How long a client may take to ask, and the event loop to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take to read its answer.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// A question for the event loop.
pub struct Call {
    /// The question.
    pub request: Request,
    /// Where the answer goes; nobody waits for it where this is closed.
    pub reply: oneshot::Sender<Answer>,
}

/// An answer of the event loop.
pub enum Answer {
    /// To [`Request::Leases`]. The rows are made while they are sent, on another thread: they must not lock
    /// anything that the event loop needs.
    Leases(Box<dyn Iterator<Item = LeaseView> + Send>),
    /// To [`Request::Stats`].
    Stats(Box<StatsView>),
}

/// The listening socket; removed when this is dropped.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Makes the socket in the state directory, for the daemon's user alone. One that is there already is taken
    /// for a dead daemon's: the caller holds the directory's lock. Must be called within a tokio runtime.
    pub fn bind(dir: &Path) -> Result<Self, ControlError> {
        let path = socket_path(dir);
        listen(&path)
            .map(|listener| Self { listener, path: path.clone() })
            .map_err(|source| ControlError::Bind { path, source })
    }

    /// Passes questions on to the event loop until the future is dropped.
    pub async fn serve(self, calls: mpsc::Sender<Call>) {
        let places = Arc::new(Semaphore::new(CLIENTS_MAX));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            match self.listener.accept().await {
                Ok((client, _)) => {
                    let calls = calls.clone();
                    tokio::spawn(async move {
                        match converse(client, &calls).await {
                            Ok((client, answer)) => {
                                thread::spawn(move || {
                                    if let Err(error) = send(client, answer) {
                                        debug!(%error, "a control client did not take its answer");
                                    }
                                    drop(place);
                                });
                            }
                            Err(error) => debug!(%error, "a control client asked nothing"),
                        }
                    });
                }
                Err(error) => {
                    warn!(%error, "cannot accept a control client");
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            warn!(%error, path = %self.path.display(), "the control socket stays behind");
        }
    }
}

/// Listens under a name that nobody knows until the permissions are right.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let unnamed = path.with_extension("new");
    match fs::remove_file(&unnamed) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&unnamed)?;
    fs::set_permissions(&unnamed, fs::Permissions::from_mode(0o600))?;
    fs::rename(&unnamed, path)?;
    Ok(listener)
}

/// Reads the question and gets the event loop's answer to it.
async fn converse(
    mut client: UnixStream,
    calls: &mpsc::Sender<Call>,
) -> io::Result<(BlockingStream, Result<Answer, String>)> {
    let mut line = Vec::new();
    timeout(PATIENCE, BufReader::new((&mut client).take(REQUEST_MAX)).read_until(b'\n', &mut line)).await??;
    let answer = match serde_json::from_slice(&line) {
        Ok(request) => ask(request, calls).await.ok_or_else(|| "too busy to answer; try again".to_owned()),
        Err(error) => Err(format!("the request is not understood: {error}")),
    };
    let client = client.into_std()?;
    client.set_nonblocking(false)?;
    Ok((client, answer))
}

async fn ask(request: Request, calls: &mpsc::Sender<Call>) -> Option<Answer> {
    let (reply, answer) = oneshot::channel();
    timeout(PATIENCE, async {
        calls.send(Call { request, reply }).await.ok()?;
        answer.await.ok()
    })
    .await
    .ok()?
}

fn send(client: BlockingStream, answer: Result<Answer, String>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, Deadline { client, at: Instant::now() + ANSWER_TIME });
    match answer {
        Ok(Answer::Leases(rows)) => {
            // The same as `Reply::Leases`, without a million rows in memory.
            out.write_all(b"{\"leases\":[")?;
            for (index, row) in rows.enumerate() {
                if index > 0 {
                    out.write_all(b",")?;
                }
                serde_json::to_writer(&mut out, &row)?;
            }
            out.write_all(b"]}")?;
        }
        Ok(Answer::Stats(stats)) => serde_json::to_writer(&mut out, &Reply::Stats(*stats))?,
        Err(words) => serde_json::to_writer(&mut out, &Reply::Error(words))?,
    }
    out.write_all(b"\n")?;
    out.flush()
}

/// A stream that fails when its time is up, however often the other end reads a little.
struct Deadline {
    client: BlockingStream,
    at: Instant,
}

impl Write for Deadline {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.client.set_write_timeout(Some(left))?;
        self.client.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.client.flush()
    }
}
