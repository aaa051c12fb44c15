//! The client against the server, and against nobody.

use super::*;
use std::{
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::spawn_blocking};

fn lease(number: u32) -> LeaseView {
    LeaseView {
        address: (0x0a00_0000 + number).into(),
        client_id: format!("01{number:012x}"),
        mac: None,
        host_name: Some(format!("host \"{number}\"")),
        state: LeaseState::Bound,
        expires_in: None,
        expires_at: None,
        renewed_by: Some(RenewedBy::Kernel),
    }
}

fn counters() -> StatsView {
    StatsView { interface: "eth0".to_owned(), uptime: 5, ..StatsView::default() }
}

/// An event loop that answers with so many leases.
async fn answer(mut calls: mpsc::Receiver<Call>, leases: u32) {
    while let Some(Call { request, reply }) = calls.recv().await {
        let answer = match request {
            Request::Leases => Answer::Leases(Box::new((0..leases).map(lease))),
            Request::Stats => Answer::Stats(Box::new(counters())),
        };
        drop(reply.send(answer));
    }
}

/// Runs `client` against a daemon with so many leases.
fn with_daemon<T: Send + 'static>(leases: u32, client: impl FnOnce(&Path) -> T + Send + 'static) -> T {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, receiver) = mpsc::channel(1);
        let server = Server::bind(&path).unwrap();
        tokio::select! {
            () = server.serve(sender) => panic!("the server ended"),
            () = answer(receiver, leases) => panic!("the event loop ended"),
            result = spawn_blocking(move || client(&path)) => result.unwrap(),
        }
    })
}

#[test]
fn questions_are_answered() {
    with_daemon(3, |dir| {
        assert_eq!(leases(dir).unwrap(), [lease(0), lease(1), lease(2)]);
        assert_eq!(stats(dir).unwrap(), counters());
    });
    with_daemon(0, |dir| assert!(leases(dir).unwrap().is_empty()));
}

#[test]
fn many_leases_arrive_whole() {
    let received = with_daemon(100_000, |dir| leases(dir).unwrap());
    assert_eq!(received.len(), 100_000);
    assert_eq!(received.last(), Some(&lease(99_999)));
}

#[test]
fn one_line_each_way() {
    let answer = with_daemon(0, |dir| {
        let mut daemon = UnixStream::connect(socket_path(dir)).unwrap();
        daemon.write_all(b"{\"request\":\"leases\"}\n").unwrap();
        let mut answer = String::new();
        daemon.read_to_string(&mut answer).unwrap();
        answer
    });
    assert_eq!(answer, "{\"leases\":[]}\n");
}

#[test]
fn nonsense_is_refused_in_words() {
    const REFUSAL: &str = "{\"error\":\"the request is not understood: ";
    for question in [&b"{\"request\":\"lease\"}\n"[..], b"\n", &[b'x'; 10_000]] {
        let question = question.to_vec();
        let answer = with_daemon(0, move |dir| {
            let mut daemon = UnixStream::connect(socket_path(dir)).unwrap();
            drop(daemon.write_all(&question));
            let mut answer = vec![0; REFUSAL.len()];
            daemon.read_exact(&mut answer).unwrap();
            String::from_utf8(answer).unwrap()
        });
        assert_eq!(answer, REFUSAL);
    }
}

#[test]
fn silent_and_slow_clients_hold_nobody_up() {
    with_daemon(100_000, |dir| {
        let silent = UnixStream::connect(socket_path(dir)).unwrap();
        let mut slow = UnixStream::connect(socket_path(dir)).unwrap();
        slow.write_all(b"{\"request\":\"leases\"}\n").unwrap();
        let start = Instant::now();
        assert_eq!(stats(dir).unwrap(), counters());
        assert!(start.elapsed() < Duration::from_secs(5));
        drop((silent, slow));
    });
}

#[test]
fn a_busy_event_loop_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::bind(&path).unwrap();
        tokio::select! {
            () = server.serve(sender) => panic!("the server ended"),
            result = spawn_blocking(move || stats(&path)) => {
                assert!(result.unwrap().unwrap_err().to_string().starts_with("the daemon says: too busy"));
            }
        }
    });
}

#[test]
fn no_daemon_is_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = || stats(dir.path()).unwrap_err().to_string();
    let expected = format!("no daemon is running on {}; start one", dir.path().display());
    assert!(refusal().starts_with(&expected), "{}", refusal());
    // What a killed daemon leaves behind: a name that nobody listens at.
    let dead = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    dead.bind(&socket2::SockAddr::unix(socket_path(dir.path())).unwrap()).unwrap();
    assert!(refusal().starts_with(&expected), "{}", refusal());
}

#[test]
fn the_socket_is_private_and_replaces_a_dead_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = socket_path(dir.path());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let server = Server::bind(dir.path()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(server);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
