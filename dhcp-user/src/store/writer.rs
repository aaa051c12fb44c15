//! The one thread that writes the store. Owns the connection while it runs and what happens when the disk
//! fails: **no batch is reported as committed before it is durable**, and none is given up. Must not decide
//! what goes into a batch.
//!
//! Group commit is the sender's: one batch in flight, the next one grows meanwhile. A log that grows is moved
//! into the store's file while nobody waits; a run without a pause is interrupted for it only once the log is
//! large, for the tenth of a second that a sweep over the file takes.

use super::{Op, Storage, StoreError, file::LOG_KEPT};
use crate::clock::Stamp;
use std::{
    collections::VecDeque,
    io,
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::mpsc::UnboundedSender;

/// How long no batch came before the writer counts as idle.
const IDLE: Duration = Duration::from_millis(100);
/// The log's size, in octets, that an idle writer does something about: what SQLite keeps of it anyway.
const IDLE_LOG: u64 = LOG_KEPT;
/// The log's size, in octets, at which the next batch has to wait.
const BUSY_LOG: u64 = 64 << 20;
/// How long to wait before a store that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Changes that become durable together.
#[derive(Debug)]
pub struct Batch {
    /// The sender's name for it.
    pub id: u64,
    /// The changes, in order.
    pub ops: Vec<Op>,
    /// Now.
    pub stamp: Stamp,
}

/// What the writer says.
#[derive(Debug)]
pub enum Report {
    /// The batch is durable: what waited for it may be answered.
    Committed {
        /// The batch's name.
        id: u64,
    },
    /// The store failed. It is opened and verified anew, and the same work tried again, every second.
    Stalled {
        /// What failed.
        error: StoreError,
    },
    /// It goes on; the batch that it stalled on is durable and reported next.
    Resumed,
}

/// A writer that was stopped, or is to get a batch, but can't.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// It was stopped while the store failed: what was not reported as committed may be lost.
    #[error("stopped while the lease store fails: the last changes are not stored")]
    Stalled,
    /// Its thread is gone.
    #[error("the lease store's writer is gone")]
    Gone,
}

/// The writer's handle. Dropped without [`stop`](Self::stop), it lets the thread end by itself.
pub struct Writer<S> {
    batches: mpsc::Sender<Batch>,
    thread: JoinHandle<Result<S, WriterError>>,
}

impl<S: Storage + Send + 'static> Writer<S> {
    /// Starts the thread, which owns `storage` from here on and says what becomes of each batch.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn spawn(storage: S, reports: UnboundedSender<Report>) -> io::Result<Self> {
        let (batches, receiver) = mpsc::channel();
        let worker =
            Worker { storage, batches: receiver, waiting: VecDeque::new(), log_grew: false, reports };
        let thread = thread::Builder::new().name("store".to_owned()).spawn(|| worker.run())?;
        Ok(Self { batches, thread })
    }

    /// Hands over a batch. Returns at once.
    ///
    /// # Errors
    /// The thread is gone.
    pub fn send(&self, batch: Batch) -> Result<(), WriterError> {
        self.batches.send(batch).map_err(|_| WriterError::Gone)
    }

    /// Waits for every batch that was sent, ends the thread and gives the storage back.
    ///
    /// # Errors
    /// The store fails at the moment, and is not waited for.
    pub fn stop(self) -> Result<S, WriterError> {
        drop(self.batches);
        self.thread.join().unwrap_or(Err(WriterError::Gone))
    }
}

struct Worker<S> {
    storage: S,
    batches: mpsc::Receiver<Batch>,
    /// Batches that came while the store failed.
    waiting: VecDeque<Batch>,
    /// Whether something was committed since the log was last looked at.
    log_grew: bool,
    reports: UnboundedSender<Report>,
}

impl<S: Storage> Worker<S> {
    fn run(mut self) -> Result<S, WriterError> {
        loop {
            let next = match self.waiting.pop_front() {
                Some(batch) => Ok(batch),
                None if self.log_grew => self.batches.recv_timeout(IDLE),
                None => self.batches.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(batch) => {
                    self.insist(|storage| storage.commit(&batch.ops, batch.stamp))?;
                    self.report(Report::Committed { id: batch.id });
                    self.insist(|storage| storage.checkpoint(BUSY_LOG))?;
                    self.log_grew = true;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.insist(|storage| storage.checkpoint(IDLE_LOG))?;
                    self.log_grew = false;
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(self.storage),
            }
        }
    }

    /// Does `work` until it is done.
    fn insist(&mut self, work: impl Fn(&mut S) -> Result<(), StoreError>) -> Result<(), WriterError> {
        let Err(error) = work(&mut self.storage) else { return Ok(()) };
        self.report(Report::Stalled { error });
        loop {
            match self.batches.recv_timeout(RETRY) {
                Ok(batch) => self.waiting.push_back(batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(WriterError::Stalled),
            }
            // Verified before it is written again: after a failed sync nobody knows what the disk has.
            match self.storage.reopen().and_then(|()| work(&mut self.storage)) {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "the lease store still fails"),
            }
        }
        self.report(Report::Resumed);
        Ok(())
    }

    /// The daemon may be on its way out and no longer listen: then nobody waits for the answer either.
    fn report(&self, report: Report) {
        self.reports.send(report).unwrap_or_default();
    }
}
