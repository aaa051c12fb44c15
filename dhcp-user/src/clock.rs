//! Time: the boot clock within a boot, and the store's timeline across boots. The only room that reads a clock
//! or adds an offset to one; it must not know what the times are for.
//!
//! Within one boot only the boot clock counts (DESIGN, durability). What is stored carries [`StoreSecs`]: the
//! boot clock plus an offset that is fixed once per boot, so that a wall clock that is stepped moves no lease.
//! The wall clock says one thing alone, at the first start after a boot: how long the machine was away. For that
//! it is stored beside each [`Stamp`], and only differences between two of its readings count.

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

/// When the store was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The second of the store's timeline, which may lag behind the wall clock.
    pub at: StoreSecs,
    /// The wall clock's second at that moment; None where it could not be believed.
    pub wall: Option<WallSecs>,
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

    /// This moment, for the store. A wall clock that was set right since the start counts, one that no longer
    /// can be believed does not.
    ///
    /// # Errors
    /// As of [`boot_ns`](Self::boot_ns).
    pub fn stamp(&self, timeline: &Timeline) -> Result<Stamp, ClockError> {
        // The boot clock first: a pause between the two then makes the time away shorter, never longer.
        let at = timeline.to_store(BootSecs::begun(self.boot_ns()?));
        let wall = self.wall_now();
        // A kernel that won't say was complained about at the start.
        let believed = timex::wall_clock_synchronised().unwrap_or(false);
        Ok(Stamp { at, wall: believed.then_some(wall) })
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
    /// `newest_stamp` (of the store's last write) left off.
    pub fn open(
        previous: Option<BootRecord>,
        boot_id: BootId,
        boot_now: BootSecs,
        wall_now: WallSecs,
        synchronised: bool,
        newest_stamp: Option<Stamp>,
    ) -> Self {
        if let Some(record) = previous.filter(|record| record.boot_id == boot_id) {
            return Self { record };
        }
        let now = match newest_stamp {
            None => wall_now.0,
            // The time away, and not the wall clock itself: the timeline that the leases are on may lag behind it.
            Some(Stamp { at, wall: Some(WallSecs(wall)) }) if synchronised => {
                at.0.saturating_add(wall_now.0.saturating_sub(wall).max(0))
            }
            // Time counts from the stamp: an address that was held then is not free before its time.
            Some(Stamp { at, .. }) => at.0,
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
    /// The true time, far ahead of the stamp.
    const WALL: i64 = 9_000_000;

    fn id(name: &str) -> BootId {
        BootId(name.to_owned())
    }

    /// The store's second at the start, by what the start finds.
    #[test]
    fn timeline_at_a_start() {
        let same = Some(BootRecord { boot_id: id("this"), offset: 999_900 });
        let other = Some(BootRecord { boot_id: id("other"), offset: 999_900 });
        let stamped = |wall: Option<i64>| Some(Stamp { at: StoreSecs(STAMP), wall: wall.map(WallSecs) });
        let level = stamped(Some(STAMP));
        let lagging = stamped(Some(WALL));
        let unknown = stamped(None);
        // (what, previous, boot now, wall now, synchronised, newest stamp, store now)
        let table = [
            ("an empty store", None, 100, STAMP, true, None, STAMP),
            ("an empty store, unsynchronised", None, 100, 40, false, None, 40),
            ("same boot", same.clone(), 200, STAMP + 100, true, level, 1_000_100),
            ("same boot, wall stepped back", same.clone(), 200, 5, true, level, 1_000_100),
            ("same boot, wall stepped on", same.clone(), 200, WALL, true, level, 1_000_100),
            ("same boot, unsynchronised", same.clone(), 200, WALL, false, level, 1_000_100),
            ("same boot, synchronised since the stamp", same, 200, WALL, true, unknown, 1_000_100),
            ("reboot", other.clone(), 10, STAMP + 500, true, level, STAMP + 500),
            ("reboot, wall behind the stamp's", other.clone(), 10, STAMP - 500, true, level, STAMP),
            ("reboot, unsynchronised and ahead", other.clone(), 10, WALL, false, level, STAMP),
            ("reboot, unsynchronised and behind", other.clone(), 10, 5, false, level, STAMP),
            ("reboot, lagging", other.clone(), 10, WALL + 60, true, lagging, STAMP + 60),
            ("reboot, lagging, wall behind the stamp's", other.clone(), 10, WALL - 60, true, lagging, STAMP),
            ("reboot, lagging, unsynchronised", other.clone(), 10, WALL + 60, false, lagging, STAMP),
            ("reboot, ahead of the wall", other.clone(), 10, 160, true, stamped(Some(100)), STAMP + 60),
            ("reboot, the stamp's wall unknown", other.clone(), 10, WALL, true, unknown, STAMP),
            ("reboot, both unknown", other, 10, WALL, false, unknown, STAMP),
            ("boot record lost", None, 10, STAMP + 60, true, level, STAMP + 60),
            ("boot record lost, wall behind the stamp's", None, 10, STAMP - 500, true, level, STAMP),
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
                Some(Stamp { at: StoreSecs(expected), wall: None }),
            );
            assert_eq!(
                later.to_store(BootSecs(boot_now.0 + 7)),
                StoreSecs(expected + 7),
                "{what}, next start"
            );
        }
    }

    /// What happens at a boot whose clock is set right only after the daemon's start.
    #[test]
    fn leases_of_a_lagging_boot_outlive_a_reboot() {
        let left = Stamp { at: StoreSecs(STAMP), wall: Some(WallSecs(STAMP)) };
        let (boot_now, wall_now) = (BootSecs(20), WallSecs(WALL));
        let lagging = Timeline::open(None, id("A"), boot_now, wall_now, false, Some(left));
        let given = BootSecs(100);
        let end = lagging.to_store(BootSecs(given.0 + 3600));
        let table =
            [("synchronised by then", Some(WallSecs(WALL + 80)), 60), ("unsynchronised to its end", None, 0)];
        for (what, wall, away) in table {
            let stamp = Stamp { at: lagging.to_store(given), wall };
            let (boot_now, wall_now) = (BootSecs(15), WallSecs(WALL + 80 + 60));
            let record = lagging.record().clone();
            let next = Timeline::open(Some(record), id("B"), boot_now, wall_now, true, Some(stamp));
            assert_eq!(next.to_boot(end), BootSecs(boot_now.0 + 3600 - away), "{what}");
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
        let synchronised = timex::wall_clock_synchronised().unwrap();

        let record = BootRecord { boot_id: clock.boot_id().clone(), offset: STAMP };
        let before = BootSecs::begun(clock.boot_ns().unwrap());
        let stamp = clock.stamp(&Timeline { record }).unwrap();
        assert!((0..=1).contains(&(stamp.at.0 - STAMP - i64::from(before.0))), "{stamp:?}");
        assert_eq!(stamp.wall.is_some(), synchronised);
        assert!(stamp.wall.is_none_or(|wall| (0..=1).contains(&(clock.wall_now().0 - wall.0))), "{stamp:?}");
    }
}
