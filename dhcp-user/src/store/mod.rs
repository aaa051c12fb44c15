//! The lease store: what survives power loss. Owns the rows, the store's identity and the order in which they
//! reach the disk; it must not know what a message is, decide who gets an address, or read a clock.
//!
//! [`Storage`] is a small state machine: opened, it is read once ([`Storage::meta`], [`Storage::load`]), marked
//! as running, fed with batches, marked as stopped. [`sqlite`] keeps it in a file, [`writer`] runs it in a
//! thread of its own, so that nobody else ever waits for a disk.

mod file;
pub mod sqlite;
pub mod writer;

#[cfg(test)]
mod tests;

use crate::{
    clock::{BootId, BootRecord, Stamp, StoreSecs},
    identity::ClientId,
};
use dhcp_ebpf::abi::Mac;
use std::{io, net::Ipv4Addr, path::PathBuf, sync::atomic::AtomicU64};

/// What an address was last stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// Promised to the client until its end, which may have moved on as far as its horizon.
    Bound,
    /// The client gave it back.
    Released,
    /// Its end came.
    Expired,
    /// The client (or a probe) found someone else there: not to be used until the row's end.
    Declined,
}

/// An address and its last client: one row, found by network and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    /// The network's id.
    pub network: u32,
    /// The address, unique in its network.
    pub address: Ipv4Addr,
    /// The client.
    pub client: ClientId,
    /// `chaddr` of the client's last message.
    pub mac: Mac,
    /// The client's option 12, as it came.
    pub host_name: Option<Box<[u8]>>,
    /// What became of it.
    pub state: LeaseState,
    /// When the client got it.
    pub start: StoreSecs,
    /// The latest end known when the row was written.
    pub end: StoreSecs,
    /// The latest end that anyone may promise (DESIGN, durability). Not before `end` while bound.
    pub horizon: StoreSecs,
}

/// A change. Whole rows alone: a batch whose commit failed may be on the disk all the same, and doing it once
/// more must then change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The address's row is this one from now on.
    Put(LeaseRow),
    /// The address has no row any more: its last client is forgotten.
    Forget {
        /// The network's id.
        network: u32,
        /// The address.
        address: Ipv4Addr,
    },
}

/// What the store knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Random, from the store's creation: maps that were filled from it carry it.
    pub uuid: [u8; 16],
    /// Whether the last daemon stopped in order, with the final ends stored.
    pub clean: bool,
    /// When it was last written, by its timeline; None before the first time.
    pub newest_stamp: Option<Stamp>,
}

/// Where leases are kept.
pub trait Storage {
    /// What the store knows of itself.
    ///
    /// # Errors
    /// It can't be read.
    fn meta(&mut self) -> Result<Meta, StoreError>;

    /// The timeline's offset in a boot, if a daemon ran in it before.
    ///
    /// # Errors
    /// It can't be read.
    fn boot(&mut self, boot_id: &BootId) -> Result<Option<BootRecord>, StoreError>;

    /// Gives every row to `each`, the earliest end first: the order in which addresses fell free.
    ///
    /// # Errors
    /// It can't be read, or a row is none; the rows before it were given.
    fn load(&mut self, each: impl FnMut(LeaseRow)) -> Result<(), StoreError>;

    /// Records that a daemon runs, in this boot: from here on a stop without [`mark_clean`](Self::mark_clean)
    /// is seen as one. `stamp` is now: within stored horizons this boot may promise without a commit, and the
    /// next must not count its time from an older boot's stamp.
    ///
    /// # Errors
    /// It is not durable.
    fn mark_running(&mut self, boot: &BootRecord, stamp: Stamp) -> Result<(), StoreError>;

    /// Records an orderly stop: every end is the final one.
    ///
    /// # Errors
    /// It is not durable.
    fn mark_clean(&mut self, stamp: Stamp) -> Result<(), StoreError>;

    /// Does a batch as one transaction, durable on return. `stamp` is now; an empty batch stores it alone.
    ///
    /// # Errors
    /// It is unknown whether the batch is on the disk: [`reopen`](Self::reopen), then do it again.
    fn commit(&mut self, batch: &[Op], stamp: Stamp) -> Result<(), StoreError>;

    /// Moves what the log holds into the store's file, if the log is larger than `larger_than` octets.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit), though what was committed stays so.
    fn checkpoint(&mut self, larger_than: u64) -> Result<(), StoreError>;

    /// Lets go of everything, opens the same store again and verifies it.
    ///
    /// # Errors
    /// It can't be opened, or is damaged. It can be tried again.
    fn reopen(&mut self) -> Result<(), StoreError>;
}

/// A store that fails. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is of another program.
    #[error("{}: not a lease store of this server; it is left as it is, name another file", path.display())]
    NotOurs {
        /// The store.
        path: PathBuf,
    },
    /// A later program wrote it.
    #[error(
        "{}: schema version {found}, and this program knows none after {known}: run the newer program, or restore \
         the backup from before its first start", path.display()
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Its content is wrong.
    #[error("{}: damaged ({detail}); it is left as it is: restore a backup, or move it away", path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The file system fails.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// SQLite fails.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// What it says.
        source: rusqlite::Error,
    },
    /// It was let go of and could not be opened again yet.
    #[error("{}: closed after a failure", path.display())]
    Closed {
        /// The store.
        path: PathBuf,
    },
}

/// What the store did since the start; any thread may read it.
#[derive(Debug, Default)]
pub struct StoreCounters {
    /// Transactions that became durable.
    pub commits: AtomicU64,
    /// Times that the disk was asked to have written: one for a commit, two for a checkpoint.
    pub syncs: AtomicU64,
    /// Rows put or forgotten.
    pub rows: AtomicU64,
}
