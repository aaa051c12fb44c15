//! The store's file: its creation, and what is verified before anything is believed or written. Must not
//! overwrite a file that it does not fully understand.
//!
//! The file appears under its name only when it is whole, so an empty one is damage, not a beginning.

use super::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

const SCHEMA: &str = include_str!("schema.sql");
/// SQLite's `user_version` of a file with that schema.
const SCHEMA_VERSION: u32 = 1;
/// SQLite's `application_id` of our files.
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"DHC4");

/// The head of an SQLite file ("Database File Format", §1.3): the magic, and the application id.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const APPLICATION_ID_AT: usize = 68;
const HEADER_LEN: usize = 100;

/// How long an operator's own transaction may keep a commit waiting before that counts as a failure.
const BUSY: Duration = Duration::from_millis(500);
/// SQLite gives what a log has beyond this back to the file system when it starts it afresh, which also keeps
/// the log's file size a measure of what is in it.
pub(super) const LOG_KEPT: u64 = 4 << 20;

/// Makes an empty store at `path`, where nothing is. Mode 0600: it says who is where.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    let log = log_of(path);
    if log.try_exists().map_err(io_error(&log))? {
        // SQLite would play it back into the new store.
        let detail = format!("the file is gone, but its log {} is there", log.display());
        return Err(StoreError::Damaged { path: path.to_owned(), detail });
    }
    let unfinished = with_suffix(path, ".new");
    for left_over in [&unfinished, &with_suffix(&unfinished, "-journal"), &log_of(&unfinished)] {
        match fs::remove_file(left_over) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(left_over)(error)),
            _ => {}
        }
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(io_error(&unfinished))?;
    fill(&unfinished).map_err(sqlite_error(&unfinished))?;
    File::open(&unfinished).and_then(|file| file.sync_all()).map_err(io_error(&unfinished))?;
    fs::rename(&unfinished, path).map_err(io_error(path))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io_error(directory))
}

fn fill(path: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO meta VALUES (1, randomblob(16), 1, NULL, NULL)", [])?;
    transaction.commit()
}

/// Opens the store at `path` and verifies all of it.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    check_header(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite_error(path))?;
    verify(&connection, path)?;
    prepare(&connection).map_err(sqlite_error(path))?;
    Ok(connection)
}

/// Looks at the file before SQLite does, which would play back the log of whatever it is.
fn check_header(path: &Path) -> Result<(), StoreError> {
    let mut header = [0; HEADER_LEN];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(StoreError::Damaged {
                path: path.to_owned(),
                detail: "it ends in its header".to_owned(),
            });
        }
        read => read.map_err(io_error(path))?,
    }
    let application_id = &header[APPLICATION_ID_AT..APPLICATION_ID_AT + 4];
    if !header.starts_with(MAGIC) || application_id != APPLICATION_ID.to_be_bytes() {
        return Err(StoreError::NotOurs { path: path.to_owned() });
    }
    Ok(())
}

fn verify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    // A connection that is closed without an orderly stop leaves the log to the next one: neither a damaged
    // file nor a disk that has just failed is written on the way out.
    let found = connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .and_then(|_| connection.busy_timeout(BUSY))
        .and_then(|()| connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)))
        .map_err(sqlite_error(path))?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    if found < SCHEMA_VERSION {
        let detail = format!("there never was a schema version {found}");
        return Err(StoreError::Damaged { path: path.to_owned(), detail });
    }
    let detail = connection
        .pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0))
        .map_err(sqlite_error(path))?;
    if detail != "ok" {
        return Err(StoreError::Damaged { path: path.to_owned(), detail });
    }
    Ok(())
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Sorting the rows at a start must not want a directory for temporary files.
    connection.pragma_update(None, "temp_store", "memory")?;
    // Ours run between commits, not within one.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_KEPT as i64, |_| Ok(()))
}

/// The write-ahead log beside a store.
pub(super) fn log_of(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

pub(super) fn io_error(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Io { path: path.to_owned(), source }
}

pub(super) fn sqlite_error(path: &Path) -> impl Fn(rusqlite::Error) -> StoreError {
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { path: path.to_owned(), detail: source.to_string() }
        }
        _ => StoreError::Sqlite { path: path.to_owned(), source },
    }
}
