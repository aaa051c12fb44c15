//! Time: the boot clock within a boot, and the store's timeline across boots. The only room that reads a clock
//! or adds an offset to one; it must not know what the times are for.
//!
//! Within one boot only the boot clock counts (DESIGN, durability). What is stored carries [`StoreSecs`]: the
//! boot clock plus an offset that is fixed once per boot, so that a wall clock that is stepped moves no lease.
//! The wall clock is asked at the first start after a boot alone, for how long the machine was away.

use crate::sys::timex;
use dhcp_ebpf::abi::BootSecs;
use nix::time::{ClockId, clock_gettime};
use std::{
    fmt, fs, io,
    time::{SystemTime, UNIX_EPOCH},
};

/// Seconds of the wall clock since 1970-01-01T00:00Z; negative before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallSecs(pub i64);

/// Seconds of the store's timeline. They read as seconds since 1970 and lag behind the true ones where the wall
/// clock could not be believed; they never run back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreSecs(pub i64);

impl StoreSecs {
    /// The end of an infinite lease.
    pub const NEVER: Self = Self(i64::MAX);
}

/// What tells one boot of a machine from every other one: the kernel's random UUID, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootId(pub String);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A clock that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// There is no boot clock.
    #[error("the boot clock (CLOCK_BOOTTIME): {0}")]
    Boot(#[from] nix::Error),
    /// The boot has no name.
    #[error("{BOOT_ID}: {0}")]
    BootId(#[source] io::Error),
}

/// The machine's clocks.
#[derive(Clone, Debug)]
pub struct Clock {
    boot_id: BootId,
}

impl Clock {
    /// The clocks of this boot.
    ///
    /// # Errors
    /// `/proc` is not there, or the kernel has no boot clock.
    pub fn open() -> Result<Self, ClockError> {
        let boot_id = fs::read_to_string(BOOT_ID).map_err(ClockError::BootId)?;
        let clock = Self { boot_id: BootId(boot_id.trim_end().to_owned()) };
        clock.boot_ns()?;
        Ok(clock)
    }

    /// This boot.
    pub fn boot_id(&self) -> &BootId {
        &self.boot_id
    }

    /// Nanoseconds of the boot clock, which runs on through suspend, as the kernel's `bpf_ktime_get_boot_ns`.
    /// [`BootSecs::begun`] and [`BootSecs::reached`] round them, for checks and for promises.
    ///
    /// # Errors
    /// The kernel's.
    pub fn boot_ns(&self) -> Result<u64, ClockError> {
        let now = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
        // Neither is ever negative: the clock starts at 0.
        Ok(now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs())
    }

    /// The wall clock's second.
    pub fn wall_now(&self) -> WallSecs {
        let signed = |secs: u64| i64::try_from(secs).unwrap_or(i64::MAX);
        WallSecs(match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => signed(since.as_secs()),
            Err(before) => -signed(before.duration().as_secs()),
        })
    }

    /// Whether the wall clock can be believed. Where the kernel won't say, it can't: leases then live longer than
    /// they had to, never shorter.
    pub fn synchronised(&self) -> bool {
        timex::wall_clock_synchronised().unwrap_or_else(|error| {
            tracing::warn!(%error, "adjtimex: the wall clock counts as unsynchronised");
            false
        })
    }
}

/// A boot and what its clock is off the store's timeline by: stored, so that a later start in the same boot
/// goes on with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootRecord {
    /// The boot.
    pub boot_id: BootId,
    /// Store seconds less boot seconds.
    pub offset: i64,
}

/// The store's timeline in one boot.
#[derive(Clone, Debug)]
pub struct Timeline {
    record: BootRecord,
}

impl Timeline {
    /// The timeline of the boot `boot_id`, that goes on where `previous` (what the store has for some boot) or
    /// `newest_stamp` (the latest second at which it was written) left off.
    pub fn open(
        previous: Option<BootRecord>,
        boot_id: BootId,
        boot_now: BootSecs,
        wall_now: WallSecs,
        synchronised: bool,
        newest_stamp: Option<StoreSecs>,
    ) -> Self {
        if let Some(record) = previous.filter(|record| record.boot_id == boot_id) {
            return Self { record };
        }
        let now = match newest_stamp {
            None => wall_now.0,
            Some(StoreSecs(stamp)) if synchronised => wall_now.0.max(stamp),
            // Time counts from the stamp: an address that was held then is not free before its time.
            Some(StoreSecs(stamp)) => stamp,
        };
        Self { record: BootRecord { boot_id, offset: now.saturating_sub(i64::from(boot_now.0)) } }
    }

    /// What the store must keep for later starts in this boot.
    pub fn record(&self) -> &BootRecord {
        &self.record
    }

    /// A moment of this boot, for the store. "Never" stays "never".
    pub fn to_store(&self, at: BootSecs) -> StoreSecs {
        if at == BootSecs::NEVER {
            return StoreSecs::NEVER;
        }
        StoreSecs(self.record.offset.saturating_add(i64::from(at.0)).min(StoreSecs::NEVER.0 - 1))
    }

    /// A stored moment, on this boot's clock: 0 where it was before the boot. "Never" stays "never", and nothing
    /// else becomes it.
    pub fn to_boot(&self, at: StoreSecs) -> BootSecs {
        if at == StoreSecs::NEVER {
            return BootSecs::NEVER;
        }
        let since_boot = at.0.saturating_sub(self.record.offset);
        BootSecs(u32::try_from(since_boot.max(0)).unwrap_or(u32::MAX).min(BootSecs::NEVER.0 - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: i64 = 1_000_000;

    fn id(name: &str) -> BootId {
        BootId(name.to_owned())
    }

    /// The store's second at the start, by what the start finds.
    #[test]
    fn timeline_at_a_start() {
        let same = Some(BootRecord { boot_id: id("this"), offset: 999_900 });
        let other = Some(BootRecord { boot_id: id("other"), offset: 999_900 });
        let stamp = Some(StoreSecs(STAMP));
        // (what, previous, boot now, wall now, synchronised, newest stamp, store now)
        let table = [
            ("an empty store", None, 100, STAMP, true, None, STAMP),
            ("an empty store, unsynchronised", None, 100, 40, false, None, 40),
            ("same boot", same.clone(), 200, STAMP + 100, true, stamp, 1_000_100),
            ("same boot, wall stepped back", same.clone(), 200, 5, true, stamp, 1_000_100),
            ("same boot, wall stepped on", same.clone(), 200, 9_000_000, true, stamp, 1_000_100),
            ("same boot, unsynchronised", same, 200, 9_000_000, false, stamp, 1_000_100),
            ("reboot", other.clone(), 10, STAMP + 500, true, stamp, STAMP + 500),
            ("reboot, wall behind the stamp", other.clone(), 10, STAMP - 500, true, stamp, STAMP),
            ("reboot, unsynchronised and ahead", other.clone(), 10, 9_000_000, false, stamp, STAMP),
            ("reboot, unsynchronised and behind", other, 10, 5, false, stamp, STAMP),
            ("boot record lost", None, 10, STAMP - 500, true, stamp, STAMP),
        ];
        for (what, previous, boot_now, wall_now, synchronised, newest, expected) in table {
            let boot_now = BootSecs(boot_now);
            let timeline =
                Timeline::open(previous, id("this"), boot_now, WallSecs(wall_now), synchronised, newest);
            assert_eq!(timeline.to_store(boot_now), StoreSecs(expected), "{what}");
            assert_eq!(timeline.record().boot_id, id("this"), "{what}");
            let later = Timeline::open(
                Some(timeline.record().clone()),
                id("this"),
                BootSecs(boot_now.0 + 7),
                WallSecs(0),
                false,
                Some(StoreSecs(expected)),
            );
            assert_eq!(
                later.to_store(BootSecs(boot_now.0 + 7)),
                StoreSecs(expected + 7),
                "{what}, next start"
            );
        }
    }

    #[test]
    fn conversions_go_there_and_back_and_saturate() {
        let at = |offset| Timeline { record: BootRecord { boot_id: id("this"), offset } };
        for offset in [-50, 0, STAMP, i64::MAX, i64::MIN] {
            assert_eq!(at(offset).to_store(BootSecs::NEVER), StoreSecs::NEVER, "{offset}");
            assert_eq!(at(offset).to_boot(StoreSecs::NEVER), BootSecs::NEVER, "{offset}");
        }
        let timeline = at(STAMP);
        for secs in [0, 1, 86_400, u32::MAX - 1] {
            assert_eq!(timeline.to_boot(timeline.to_store(BootSecs(secs))), BootSecs(secs));
        }
        assert_eq!(timeline.to_boot(StoreSecs(STAMP - 1)), BootSecs(0), "before the boot");
        assert_eq!(timeline.to_boot(StoreSecs(i64::MAX - 1)), BootSecs(u32::MAX - 1), "finite stays finite");
        assert_eq!(at(i64::MAX).to_store(BootSecs(5)), StoreSecs(i64::MAX - 1), "finite stays finite");
    }

    #[test]
    fn the_machine_has_clocks() {
        let clock = Clock::open().unwrap();
        assert_eq!(clock.boot_id().0.len(), 36, "{}", clock.boot_id());
        let first = clock.boot_ns().unwrap();
        assert!(first > 0 && clock.boot_ns().unwrap() >= first);
        assert!(clock.wall_now() > WallSecs(1_700_000_000));
        timex::wall_clock_synchronised().unwrap();
    }
}
