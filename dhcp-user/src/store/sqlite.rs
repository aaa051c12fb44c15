//! The store in SQLite: WAL, `synchronous=FULL`, so that a commit is one sync of the log. Owns the statements
//! and the shape of a row (`schema.sql`); what may be opened at all is `file.rs`'s.
//!
//! Addresses and states are numbers in the table, which has a million rows, and text in the view `leases`,
//! which an operator's `sqlite3` can read while the daemon runs.

use super::{
    LeaseRow, LeaseState, Meta, Op, Storage, StoreCounters, StoreError,
    file::{connect, create, io_error, log_of, sqlite_error},
};
use crate::{
    clock::{BootId, BootRecord, Stamp, StoreSecs, WallSecs},
    identity::ClientId,
};
use dhcp_ebpf::abi::Mac;
use rusqlite::{
    Connection, OptionalExtension, Row, Transaction, TransactionBehavior, config::DbConfig, params,
};
use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
};

const PUT: &str = "INSERT OR REPLACE INTO lease VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const FORGET: &str = "DELETE FROM lease WHERE network = ?1 AND address = ?2";
// Both or neither: a wall clock's second belongs to the stamp that it was read with.
const STAMP: &str = "UPDATE meta SET newest_stamp = ?1, newest_wall = ?2 \
     WHERE newest_stamp IS NULL OR newest_stamp <= ?1";
const LOAD: &str = "SELECT network, address, identity_kind, identity, mac, host_name, state, starts, ends, \
     horizon FROM lease ORDER BY ends";

/// A lease store in a file.
pub struct SqliteStore {
    path: PathBuf,
    /// None after a failed [`Storage::reopen`].
    connection: Option<Connection>,
    counters: Arc<StoreCounters>,
}

impl SqliteStore {
    /// Opens the store, or creates it where there is no file (mode 0600).
    ///
    /// # Errors
    /// The file is not ours, newer than we are, damaged (every page is looked at), or can't be opened. It is
    /// left as it was.
    pub fn open(path: &Path, counters: Arc<StoreCounters>) -> Result<Self, StoreError> {
        if !path.try_exists().map_err(io_error(path))? {
            create(path)?;
        }
        Ok(Self { path: path.to_owned(), connection: Some(connect(path)?), counters })
    }

    fn connection(&mut self) -> Result<&mut Connection, StoreError> {
        self.connection.as_mut().ok_or_else(|| StoreError::Closed { path: self.path.clone() })
    }

    /// Does `work` in one transaction, durable on return; it says how many rows it touched.
    fn transact(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<usize>,
    ) -> Result<(), StoreError> {
        // Immediate: an operator's transaction is met, and waited for, before any work.
        let done = self.connection()?.transaction_with_behavior(TransactionBehavior::Immediate).and_then(
            |transaction| {
                let rows = work(&transaction)?;
                transaction.commit()?;
                Ok(rows)
            },
        );
        let rows = done.map_err(sqlite_error(&self.path))?;
        self.counters.commits.fetch_add(1, Relaxed);
        self.counters.syncs.fetch_add(1, Relaxed);
        self.counters.rows.fetch_add(rows as u64, Relaxed);
        Ok(())
    }
}

impl Storage for SqliteStore {
    fn meta(&mut self) -> Result<Meta, StoreError> {
        self.connection()?
            .query_row("SELECT store_uuid, clean_stop, newest_stamp, newest_wall FROM meta", [], |row| {
                let (at, wall): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
                let newest_stamp = at.map(|at| Stamp { at: StoreSecs(at), wall: wall.map(WallSecs) });
                Ok(Meta { uuid: row.get(0)?, clean: row.get(1)?, newest_stamp })
            })
            .map_err(sqlite_error(&self.path))
    }

    fn boot(&mut self, boot_id: &BootId) -> Result<Option<BootRecord>, StoreError> {
        self.connection()?
            .query_row("SELECT offset FROM boots WHERE boot_id = ?1", [&boot_id.0], |row| {
                Ok(BootRecord { boot_id: boot_id.clone(), offset: row.get(0)? })
            })
            .optional()
            .map_err(sqlite_error(&self.path))
    }

    fn load(&mut self, mut each: impl FnMut(LeaseRow)) -> Result<(), StoreError> {
        let path = self.path.clone();
        let mut statement = self.connection()?.prepare(LOAD).map_err(sqlite_error(&path))?;
        let mut rows = statement.query([]).map_err(sqlite_error(&path))?;
        while let Some(row) = rows.next().map_err(sqlite_error(&path))? {
            match read_row(row).map_err(sqlite_error(&path))? {
                Ok(lease) => each(lease),
                Err(detail) => return Err(StoreError::Damaged { path, detail }),
            }
        }
        Ok(())
    }

    fn mark_running(&mut self, boot: &BootRecord, stamp: Stamp) -> Result<(), StoreError> {
        self.transact(|transaction| {
            let row = params![boot.boot_id.0, boot.offset];
            transaction.execute("INSERT OR REPLACE INTO boots VALUES (?1, ?2)", row)?;
            transaction.execute(STAMP, stamp_params(stamp))?;
            transaction.execute("UPDATE meta SET clean_stop = 0", [])?;
            Ok(0)
        })
    }

    fn mark_clean(&mut self, stamp: Stamp) -> Result<(), StoreError> {
        self.transact(|transaction| {
            transaction.execute(STAMP, stamp_params(stamp))?;
            transaction.execute("UPDATE meta SET clean_stop = 1", [])?;
            Ok(0)
        })?;
        // The last one out leaves one file, without a log.
        self.connection()?
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
            .map_err(sqlite_error(&self.path))?;
        Ok(())
    }

    fn commit(&mut self, batch: &[Op], stamp: Stamp) -> Result<(), StoreError> {
        self.transact(|transaction| {
            let mut put = transaction.prepare_cached(PUT)?;
            let mut forget = transaction.prepare_cached(FORGET)?;
            for op in batch {
                match op {
                    Op::Put(lease) => put_row(&mut put, lease)?,
                    Op::Forget { network, address } => forget.execute(params![network, address.to_bits()])?,
                };
            }
            transaction.prepare_cached(STAMP)?.execute(stamp_params(stamp))?;
            Ok(batch.len())
        })
    }

    fn checkpoint(&mut self, larger_than: u64) -> Result<(), StoreError> {
        let log = log_of(&self.path);
        match fs::metadata(&log) {
            Ok(metadata) if metadata.len() <= larger_than => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found.map_err(io_error(&log))?,
        };
        // PASSIVE waits for nobody: what an operator's query still reads stays in the log until the next time.
        self.connection()?
            .pragma_update_and_check(None, "wal_checkpoint", "passive", |_| Ok(()))
            .map_err(sqlite_error(&self.path))?;
        self.counters.syncs.fetch_add(2, Relaxed);
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        self.connection = None;
        self.connection = Some(connect(&self.path)?);
        Ok(())
    }
}

fn stamp_params(stamp: Stamp) -> (i64, Option<i64>) {
    (stamp.at.0, stamp.wall.map(|wall| wall.0))
}

fn put_row(put: &mut rusqlite::Statement<'_>, lease: &LeaseRow) -> rusqlite::Result<usize> {
    put.execute(params![
        lease.network,
        lease.address.to_bits(),
        lease.client.kind(),
        lease.client.bytes(),
        lease.mac.0,
        lease.host_name.as_deref(),
        state_to_number(lease.state),
        lease.start.0,
        lease.end.0,
        lease.horizon.0,
    ])
}

/// The row, or in words why it is none.
fn read_row(row: &Row<'_>) -> rusqlite::Result<Result<LeaseRow, String>> {
    let (network, address, kind): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let state: i64 = row.get(6)?;
    let host_name: Option<Box<[u8]>> = row.get(5)?;
    let whole = || {
        Some(LeaseRow {
            network: u32::try_from(network).ok()?,
            address: Ipv4Addr::from_bits(u32::try_from(address).ok()?),
            client: ClientId::from_parts(u8::try_from(kind).ok()?, row.get_ref(3).ok()?.as_blob().ok()?)?,
            mac: Mac(row.get_ref(4).ok()?.as_blob().ok()?.try_into().ok()?),
            host_name,
            state: state_from_number(state)?,
            start: StoreSecs(row.get(7).ok()?),
            end: StoreSecs(row.get(8).ok()?),
            horizon: StoreSecs(row.get(9).ok()?),
        })
    };
    Ok(whole().ok_or_else(|| format!("the row of network {network}, address {address} is no lease")))
}

fn state_to_number(state: LeaseState) -> u8 {
    match state {
        LeaseState::Bound => 1,
        LeaseState::Released => 2,
        LeaseState::Expired => 3,
        LeaseState::Declined => 4,
    }
}

fn state_from_number(number: i64) -> Option<LeaseState> {
    match number {
        1 => Some(LeaseState::Bound),
        2 => Some(LeaseState::Released),
        3 => Some(LeaseState::Expired),
        4 => Some(LeaseState::Declined),
        _ => None,
    }
}
