//! The side of `dhcp-user leases` and `dhcp-user stats`.

use super::{ControlError, LeaseView, Reply, Request, StatsView, socket_path};
use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// How long the daemon may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// The leases of the daemon whose state directory is `dir`.
pub fn leases(dir: &Path) -> Result<Vec<LeaseView>, ControlError> {
    match ask(dir, Request::Leases)? {
        Reply::Leases(leases) => Ok(leases),
        other => Err(refused(other)),
    }
}

/// The counters of the daemon whose state directory is `dir`.
pub fn stats(dir: &Path) -> Result<StatsView, ControlError> {
    match ask(dir, Request::Stats)? {
        Reply::Stats(stats) => Ok(stats),
        other => Err(refused(other)),
    }
}

fn refused(reply: Reply) -> ControlError {
    ControlError::Refused(match reply {
        Reply::Error(words) => words,
        Reply::Leases(_) | Reply::Stats(_) => "something else than was asked".to_owned(),
    })
}

fn ask(dir: &Path, request: Request) -> Result<Reply, ControlError> {
    let path = socket_path(dir);
    let daemon = UnixStream::connect(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ControlError::NoDaemon { dir: dir.to_owned() }
        }
        io::ErrorKind::PermissionDenied => ControlError::Denied { path },
        _ => ControlError::Broken { dir: dir.to_owned(), source },
    })?;
    converse(daemon, request).map_err(|source| ControlError::Broken { dir: dir.to_owned(), source })
}

fn converse(mut daemon: UnixStream, request: Request) -> io::Result<Reply> {
    daemon.set_read_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    daemon.write_all(&line)?;
    let mut answer = Vec::new();
    daemon.read_to_end(&mut answer)?;
    Ok(serde_json::from_slice(&answer)?)
}
