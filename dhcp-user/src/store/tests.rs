//! The store against real files.

use super::{
    LeaseRow, LeaseState, Op, Storage, StoreCounters, StoreError, file,
    sqlite::SqliteStore,
    writer::{Batch, Report, Writer, WriterError},
};
use crate::{
    clock::{BootId, BootRecord, Stamp, StoreSecs, Timeline, WallSecs},
    identity::ClientId,
};
use dhcp_ebpf::abi::{BootSecs, Mac};
use rusqlite::Connection;
use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const NOW: StoreSecs = StoreSecs(1_800_000_000);
const STAMP: Stamp = Stamp { at: NOW, wall: Some(WallSecs(1_900_000_000)) };

fn directory() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("leases.db");
    (directory, path)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Arc::default()).unwrap()
}

/// What opening it says.
fn refusal(path: &Path) -> StoreError {
    SqliteStore::open(path, Arc::default()).map(|_| ()).unwrap_err()
}

fn row(n: u32) -> LeaseRow {
    let mac = Mac([2, 0, 0, 0, 0, n as u8]);
    LeaseRow {
        network: 7,
        address: Ipv4Addr::from_bits(0x0a00_0000 + n),
        client: ClientId::from_chaddr(mac),
        mac,
        host_name: None,
        state: LeaseState::Bound,
        start: NOW,
        end: StoreSecs(NOW.0 + i64::from(n)),
        horizon: StoreSecs(NOW.0 + 3600),
    }
}

fn puts(range: std::ops::Range<u32>) -> Vec<Op> {
    range.map(|n| Op::Put(row(n))).collect()
}

fn all(store: &mut SqliteStore) -> Vec<LeaseRow> {
    let mut rows = Vec::new();
    store.load(|row| rows.push(row)).unwrap();
    rows
}

#[test]
fn rows_come_back_as_they_went_earliest_end_first() {
    let (_directory, path) = directory();
    let infinite = LeaseRow {
        network: u32::MAX,
        address: Ipv4Addr::new(255, 255, 255, 254),
        client: ClientId::from_option(&[0xff; 255]).unwrap(),
        host_name: Some(b"h\0\xff".as_slice().into()),
        end: StoreSecs::NEVER,
        horizon: StoreSecs::NEVER,
        ..row(1)
    };
    let no_name = LeaseRow { host_name: Some([].into()), state: LeaseState::Declined, ..row(9) };
    let expired = LeaseRow { state: LeaseState::Expired, ..row(3) };
    let released = LeaseRow { state: LeaseState::Released, ..row(5) };
    let mut store = open(&path);
    let ops = [infinite.clone(), no_name.clone(), expired.clone(), released.clone()].map(Op::Put);
    store.commit(&ops, STAMP).unwrap();
    let expected = [expired, released, no_name, infinite];
    assert_eq!(all(&mut store), expected);
    drop(store);
    assert_eq!(all(&mut open(&path)), expected);
}

#[test]
fn the_last_row_of_an_address_counts_and_can_be_forgotten() {
    let (_directory, path) = directory();
    let mut store = open(&path);
    let later = LeaseRow { client: ClientId::from_option(b"another").unwrap(), ..row(1) };
    let elsewhere = LeaseRow { network: 8, ..row(1) };
    store.commit(&[Op::Put(row(1)), Op::Put(later.clone()), Op::Put(elsewhere.clone())], STAMP).unwrap();
    assert_eq!(all(&mut store).len(), 2);
    assert!(all(&mut store).contains(&later));
    let forget = Op::Forget { network: 7, address: row(1).address };
    store.commit(&[forget.clone(), forget], STAMP).unwrap();
    assert_eq!(all(&mut store), [elsewhere]);
}

#[test]
fn the_store_knows_itself_and_how_it_was_left() {
    let (_directory, path) = directory();
    let mut store = open(&path);
    let born = store.meta().unwrap();
    assert!(born.clean && born.newest_stamp.is_none() && born.uuid != [0; 16]);
    let boot = BootRecord { boot_id: BootId("one".to_owned()), offset: -5 };
    assert_eq!(store.boot(&boot.boot_id).unwrap(), None);
    let first = Stamp { at: StoreSecs(NOW.0 - 1), wall: None };
    store.mark_running(&boot, first).unwrap();
    let running = store.meta().unwrap();
    assert_eq!((running.clean, running.newest_stamp), (false, Some(first)));
    store.commit(&[], STAMP).unwrap();
    drop(store);

    let mut store = open(&path);
    let killed = store.meta().unwrap();
    assert_eq!((killed.uuid, killed.clean, killed.newest_stamp), (born.uuid, false, Some(STAMP)));
    assert_eq!(store.boot(&boot.boot_id).unwrap(), Some(boot));
    assert_eq!(store.boot(&BootId("two".to_owned())).unwrap(), None);
    let last = Stamp { at: StoreSecs(NOW.0 + 1), wall: None };
    store.mark_clean(last).unwrap();
    drop(store);
    assert!(!path.with_extension("db-wal").exists(), "an orderly stop leaves one file");
    let stopped = open(&path).meta().unwrap();
    assert_eq!((stopped.clean, stopped.newest_stamp), (true, Some(last)));
}

#[test]
fn the_newest_stamp_keeps_its_own_wall_clock() {
    let stamp = |at: i64, wall: Option<i64>| Stamp { at: StoreSecs(NOW.0 + at), wall: wall.map(WallSecs) };
    let (known, unknown) = (stamp(0, Some(100)), stamp(0, None));
    // (what, the stamps in their order, the one that is kept)
    let table = [
        ("a later one", [known, stamp(1, Some(90))], stamp(1, Some(90))),
        ("a later one, unsynchronised", [known, stamp(1, None)], stamp(1, None)),
        ("a later one, synchronised again", [unknown, stamp(1, Some(7))], stamp(1, Some(7))),
        ("the same second", [known, stamp(0, Some(101))], stamp(0, Some(101))),
        ("the same second, unsynchronised", [known, unknown], unknown),
        ("an earlier one", [known, stamp(-1, Some(200))], known),
        ("an earlier one, unsynchronised", [known, stamp(-1, None)], known),
        ("an earlier one, synchronised", [unknown, stamp(-1, Some(200))], unknown),
    ];
    for (what, stamps, kept) in table {
        let (_directory, path) = directory();
        let mut store = open(&path);
        for stamp in stamps {
            store.commit(&[], stamp).unwrap();
        }
        assert_eq!(store.meta().unwrap().newest_stamp, Some(kept), "{what}");
        drop(store);
        assert_eq!(open(&path).meta().unwrap().newest_stamp, Some(kept), "{what}, opened again");
    }
}

/// Within a stored horizon a boot promises without a commit. If it lags, the wall clock of the boot before it
/// must not count for the time that it ran.
#[test]
fn a_lagging_boot_without_a_commit_leaves_its_own_stamp() {
    let (_directory, path) = directory();
    let mut store = open(&path);
    store.commit(&puts(1..2), STAMP).unwrap();
    let id = |name: &str| BootId(name.to_owned());
    let mut boot = |name: &str, wall: i64, synchronised: bool| {
        let stamp = store.meta().unwrap().newest_stamp;
        let wall = WallSecs(1_900_000_000 + wall);
        let timeline = Timeline::open(None, id(name), BootSecs(10), wall, synchronised, stamp);
        let at = timeline.to_store(BootSecs(10));
        store.mark_running(timeline.record(), Stamp { at, wall: synchronised.then_some(wall) }).unwrap();
        timeline
    };
    let lagging = boot("A", 3600, false);
    let promised = lagging.to_store(BootSecs(1800 + 600));
    let next = boot("B", 3600 + 1800, true);
    assert!(next.to_boot(promised) >= BootSecs(10 + 600), "{:?}", next.to_boot(promised));
}

#[test]
fn nobody_else_reads_the_file_and_two_stores_differ() {
    let (_directory, path) = directory();
    let (_other_directory, other) = directory();
    let mut store = open(&path);
    store.commit(&puts(0..1), STAMP).unwrap();
    for file in [path.clone(), path.with_extension("db-wal")] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_ne!(store.meta().unwrap().uuid, open(&other).meta().unwrap().uuid);
}

/// What a killed daemon leaves: the file and its log, as they were at that moment.
#[test]
fn a_committed_batch_survives_the_end_of_its_process() {
    let (_directory, path) = directory();
    let (_image_directory, image) = directory();
    let mut store = open(&path);
    store.commit(&puts(0..100), STAMP).unwrap();
    fs::copy(&path, &image).unwrap();
    fs::copy(path.with_extension("db-wal"), image.with_extension("db-wal")).unwrap();
    store.commit(&puts(100..200), STAMP).unwrap();
    assert_eq!(all(&mut open(&image)).len(), 100);
}

/// A commit is on the disk when it returns: what SQLite promises with these two settings, and no others.
#[test]
fn the_log_is_synced_with_every_commit() {
    let (_directory, path) = directory();
    drop(open(&path));
    let connection = file::connect(&path).unwrap();
    let setting =
        |name| connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
    assert_eq!(setting("journal_mode").unwrap(), "wal".to_owned().into());
    assert_eq!(setting("synchronous").unwrap(), 2.into());
}

#[test]
fn a_person_can_read_it() {
    let (_directory, path) = directory();
    let mut store = open(&path);
    let host_name = Some(b"printer".as_slice().into());
    store.commit(&[Op::Put(LeaseRow { host_name, end: StoreSecs::NEVER, ..row(258) })], STAMP).unwrap();
    let line: String = Connection::open(&path)
        .unwrap()
        .query_row(
            "SELECT concat_ws('|', address, state, client, mac, host_name, starts, ends) FROM leases",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(line, "10.0.1.2|bound|chaddr 020000000002|020000000002|printer|2027-01-15 08:00:00|never");
}

#[test]
fn a_newer_schema_is_refused() {
    let (_directory, path) = directory();
    drop(open(&path));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("leases.db"), "{error}");
}

#[test]
fn a_file_of_another_program_is_refused_and_left_as_it_was() {
    let (_directory, path) = directory();
    let foreign = Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE lease (x)").unwrap();
    drop(foreign);
    let text = path.with_extension("txt");
    fs::write(&text, [b'x'; 500]).unwrap();
    for path in [path, text] {
        let before = fs::read(&path).unwrap();
        let error = refusal(&path);
        assert!(matches!(error, StoreError::NotOurs { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_was() {
    let (_directory, path) = directory();
    let mut store = open(&path);
    store.commit(&puts(0..5000), STAMP).unwrap();
    store.mark_clean(STAMP).unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() as u64 / 4096;
    type Damage = fn(&fs::File, u64);
    let table: [(&str, Damage); 6] = [
        ("empty", |file, _| file.set_len(0).unwrap()),
        ("cut in its header", |file, _| file.set_len(99).unwrap()),
        ("cut in half", |file, pages| file.set_len(pages / 2 * 4096).unwrap()),
        ("a page of zeros", |file, pages| file.write_all_at(&[0; 4096], (pages - 3) * 4096).unwrap()),
        ("a page of noise", |file, pages| file.write_all_at(&[0xa5; 4096], (pages - 3) * 4096).unwrap()),
        ("no schema", |file, _| file.write_all_at(&[0; 3900], 100).unwrap()),
    ];
    for (what, damage) in table {
        fs::write(&path, &whole).unwrap();
        damage(&fs::OpenOptions::new().write(true).open(&path).unwrap(), pages);
        let before = fs::read(&path).unwrap();
        let error = refusal(&path);
        assert!(matches!(error, StoreError::Damaged { .. }), "{what}: {error}");
        assert!(error.to_string().contains("leases.db"), "{what}: {error}");
        assert!(fs::read(&path).unwrap() == before, "{what}: the file was written");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(all(&mut open(&path)).len(), 5000);
}

#[test]
fn a_log_without_its_store_is_not_played_into_a_new_one() {
    let (_directory, path) = directory();
    let mut store = open(&path);
    store.commit(&puts(0..10), STAMP).unwrap();
    drop(store);
    fs::remove_file(&path).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_row_that_is_no_lease_stops_the_load() {
    let (_directory, path) = directory();
    let mut store = open(&path);
    store.commit(&puts(0..1), STAMP).unwrap();
    Connection::open(&path).unwrap().execute("UPDATE lease SET mac = x'00'", []).unwrap();
    let error = store.load(|_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_creation_that_was_cut_short_starts_afresh() {
    let (_directory, path) = directory();
    fs::write(path.with_extension("db.new"), b"half a file").unwrap();
    fs::write(path.with_extension("db.new-journal"), b"half a journal").unwrap();
    assert_eq!(all(&mut open(&path)), []);
}

#[test]
fn the_log_moves_into_the_file_once_it_is_large() {
    let (_directory, path) = directory();
    let counters = Arc::new(StoreCounters::default());
    let mut store = SqliteStore::open(&path, Arc::clone(&counters)).unwrap();
    store.commit(&puts(0..2000), STAMP).unwrap();
    store.commit(&puts(0..2000), STAMP).unwrap();
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
    assert_eq!([count(&counters.commits), count(&counters.syncs), count(&counters.rows)], [2, 2, 4000]);
    let size = || fs::metadata(&path).unwrap().len();
    let before = size();
    store.checkpoint(1 << 30).unwrap();
    assert_eq!((size(), count(&counters.syncs)), (before, 2), "a small log stays");
    store.checkpoint(0).unwrap();
    assert!(size() > before + 50_000, "{} octets", size());
    assert_eq!(count(&counters.syncs), 4);
}

struct Written {
    writer: Writer<SqliteStore>,
    reports: UnboundedReceiver<Report>,
}

fn writer(path: &Path) -> Written {
    let (sender, reports) = unbounded_channel();
    Written { writer: Writer::spawn(open(path), sender).unwrap(), reports }
}

impl Written {
    fn send(&self, id: u64, ops: Vec<Op>) {
        self.writer.send(Batch { id, ops, stamp: STAMP }).unwrap();
    }

    fn next(&mut self) -> Report {
        self.reports.blocking_recv().expect("the writer is gone")
    }
}

/// Fails every commit until it is dropped again.
const FAILURE: &str = "CREATE TRIGGER failure BEFORE INSERT ON lease BEGIN SELECT RAISE(ABORT, 'disk'); END";

#[test]
fn a_batch_is_reported_once_it_can_be_read_by_others() {
    let (_directory, path) = directory();
    let mut written = writer(&path);
    let reader = Connection::open(&path).unwrap();
    for id in 1..=20 {
        written.send(id, puts(0..id as u32));
        assert!(matches!(written.next(), Report::Committed { id: reported } if reported == id));
        let rows: u32 = reader.query_row("SELECT count(*) FROM lease", [], |row| row.get(0)).unwrap();
        assert_eq!(u64::from(rows), id);
    }
    let mut store = written.writer.stop().unwrap();
    assert_eq!(all(&mut store).len(), 20);
}

#[test]
fn a_failing_store_stalls_and_resumes_with_the_same_batch() {
    let (_directory, path) = directory();
    let mut written = writer(&path);
    written.send(1, puts(0..1));
    assert!(matches!(written.next(), Report::Committed { id: 1 }));
    let disk = Connection::open(&path).unwrap();
    disk.execute_batch(FAILURE).unwrap();
    written.send(2, puts(1..2));
    let stalled = written.next();
    assert!(
        matches!(&stalled, Report::Stalled { error } if error.to_string().contains("disk")),
        "{stalled:?}"
    );
    written.send(3, puts(2..3));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(written.reports.try_recv().is_err(), "nothing is reported while nothing is durable");
    disk.execute_batch("DROP TRIGGER failure").unwrap();
    assert!(matches!(written.next(), Report::Resumed));
    assert!(matches!(written.next(), Report::Committed { id: 2 }));
    assert!(matches!(written.next(), Report::Committed { id: 3 }));
    assert_eq!(all(&mut written.writer.stop().unwrap()).len(), 3);
}

#[test]
fn a_store_that_another_one_locks_stalls_too() {
    let (_directory, path) = directory();
    let mut written = writer(&path);
    let operator = Connection::open(&path).unwrap();
    operator.execute_batch("BEGIN IMMEDIATE").unwrap();
    written.send(1, puts(0..1));
    assert!(matches!(written.next(), Report::Stalled { .. }));
    operator.execute_batch("COMMIT").unwrap();
    assert!(matches!(written.next(), Report::Resumed));
    assert!(matches!(written.next(), Report::Committed { id: 1 }));
}

#[test]
fn a_stop_does_not_wait_for_a_failing_store_and_says_so() {
    let (_directory, path) = directory();
    let mut written = writer(&path);
    Connection::open(&path).unwrap().execute_batch(FAILURE).unwrap();
    written.send(1, puts(0..1));
    assert!(matches!(written.next(), Report::Stalled { .. }));
    assert!(matches!(written.writer.stop(), Err(WriterError::Stalled)));
}
