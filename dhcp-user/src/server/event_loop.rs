//! The event loop, and the orderly end: detach ▶ grace ▶ commit the final ends (DESIGN, durability).

use super::{Ears, Server, commits::After};
use crate::{
    clock::ClockError,
    control::{Answer, Request as Question},
    fastpath::FastPathError,
    interface::InterfaceError,
    protocol::Request,
    store::{
        Storage, StoreError,
        writer::{Report, WriterError},
    },
    sys::{membarrier, packet::Batch},
};
use dhcp_ebpf::abi::BootSecs;
use std::{future::Future, io, net::Ipv4Addr, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// How often the clock is looked at for what is due.
const TICK: Duration = Duration::from_millis(500);
/// How long an orderly stop waits for what is in hand.
const DRAIN: Duration = Duration::from_secs(5);

/// How long a message can wait for a lease to be closed, in nanoseconds.
const DEFERRED_NS: u64 = 3_000_000_000;

/// The daemon can't go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// No writer.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// The store does not take the end.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No frames.
    #[error("reading frames: {0}")]
    Frames(#[source] io::Error),
    /// No grace.
    #[error("membarrier: {0}")]
    Grace(#[source] io::Error),
    /// No interface, or one that is not to be served.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// No fast path.
    #[error(transparent)]
    FastPath(#[from] FastPathError),
    /// Another interface has its name by now.
    #[error("{interface} was replaced by another interface; start again to serve that one")]
    Replaced {
        /// The interface.
        interface: String,
    },
}

impl Server {
    /// Serves until `stop` is done, then ends in order.
    ///
    /// # Errors
    /// What the daemon can't go on without.
    pub async fn run(mut self, mut ears: Ears, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        tokio::pin!(stop);
        let mut batch = Batch::for_mtu(self.interface.mtu);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = loop {
            tokio::select! {
                biased;
                () = &mut stop => break Ok(()),
                Some(change) = ears.changes.recv() => {
                    let followed = change.map_err(RunError::from).and_then(|found| self.interface_changed(found));
                    if followed.is_err() {
                        break followed;
                    }
                }
                Some(report) = ears.reports.recv() => self.report(report)?,
                Some(grace) = ears.graces.recv() => {
                    let now = self.now()?;
                    self.grace_over(grace, now);
                }
                Some(call) = ears.calls.recv() => {
                    let answer = match call.request {
                        Question::Leases => Answer::Leases(self.lease_views()?),
                        Question::Stats => Answer::Stats(Box::new(self.stats_view(&ears))),
                    };
                    // Whoever asked may have gone.
                    call.reply.send(answer).unwrap_or_default();
                }
                _ = ticks.tick() => {
                    let now = self.now()?;
                    self.upkeep(now);
                }
                received = ears.socket.receive(&mut batch) => match received {
                    Ok(_) => self.receive(&batch)?,
                    // Said once when the link goes down; it may come back.
                    Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
                    Err(error) => return Err(RunError::Frames(error)),
                },
            }
            self.go_on(&ears).await?;
        };
        self.stop(ears).await.and(ended)
    }

    fn now_ns(&self) -> Result<u64, ClockError> {
        self.clock.boot_ns()
    }

    /// The second that has begun.
    pub(super) fn now(&self) -> Result<BootSecs, ClockError> {
        Ok(BootSecs::begun(self.now_ns()?))
    }

    fn receive(&mut self, batch: &Batch) -> Result<(), ClockError> {
        let now = self.now_ns()?;
        for frame in batch.frames() {
            match Request::parse(&frame, &self.link) {
                Ok(request) => self.handle(request, now),
                Err(refusal) => self.tally.refuse(refusal),
            }
        }
        Ok(())
    }

    /// Sends on what the last event made.
    async fn go_on(&mut self, ears: &Ears) -> Result<(), RunError> {
        if std::mem::take(&mut self.take_up_deferred) {
            let now = self.now_ns()?;
            for (came, request) in std::mem::take(&mut self.deferred) {
                // Its client has asked again by now, or wants something else.
                if now.saturating_sub(came) < DEFERRED_NS {
                    self.handle(request, now);
                }
            }
        }
        self.closings.start();
        let stamp = self.clock.stamp(&self.timeline)?;
        self.commits.flush(stamp)?;
        if !self.outbox.is_empty() {
            let frames = std::mem::take(&mut self.outbox);
            self.unsent += ears.socket.send_all(&frames).await as u64;
        }
        Ok(())
    }

    fn report(&mut self, report: Report) -> Result<(), ClockError> {
        match report {
            Report::Stalled { error } => {
                tracing::error!(%error, "the lease store fails: no new lease until it is back; bound clients go on");
                self.commits.stall();
            }
            Report::Resumed => {
                tracing::warn!("the lease store is back");
                self.commits.stalled = false;
            }
            Report::Committed { id } => {
                let now = self.now()?;
                for after in self.commits.committed(id) {
                    if let After::Closed { address, why } = after {
                        self.closed(address, why, now);
                    } else {
                        self.leased(after, now);
                    }
                }
            }
        }
        Ok(())
    }

    async fn stop(mut self, mut ears: Ears) -> Result<(), RunError> {
        tracing::info!("stopping");
        let deadline = Instant::now() + DRAIN;
        while !(self.commits.is_idle() && self.closings.is_idle()) {
            let event = async {
                tokio::select! {
                    report = ears.reports.recv() => (report, None),
                    grace = ears.graces.recv() => (None, grace),
                }
            };
            match timeout_at(deadline, event).await {
                Ok((Some(report), _)) => self.report(report)?,
                Ok((_, Some(grace))) => {
                    let now = self.now()?;
                    self.grace_over(grace, now);
                }
                Ok((None, None)) | Err(_) => return Err(WriterError::Stalled.into()),
            }
            self.go_on(&ears).await?;
        }

        self.fast_path.detach();
        tokio::task::spawn_blocking(membarrier::global)
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(RunError::Grace)?;
        self.commit_final_ends();
        let stamp = self.clock.stamp(&self.timeline)?;
        self.commits.flush(stamp)?;
        let mut store = self.commits.stop()?;
        store.mark_clean(stamp)?;
        tracing::info!("detached from {}; every lease is stored", self.interface.name);
        Ok(())
    }

    /// What was promised, by the kernel too. Nothing is under way any more that could promise more.
    fn commit_final_ends(&mut self) {
        let ends: Vec<(Ipv4Addr, BootSecs)> = self
            .allocator
            .bindings()
            .map(|(address, binding)| {
                let kernel = binding.slot.map_or(BootSecs(0), |slot| self.fast_path.kernel_end(slot));
                (address, binding.end.max(kernel))
            })
            .collect();
        for (address, end) in ends {
            if let Some((op, _)) = self.bound_row(address, end, BootSecs(0)) {
                self.commits.add(op, None);
            }
        }
    }
}
