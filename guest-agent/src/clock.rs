//! Time: what system calls take, and the monotonic clock.

use std::time::{Duration, Instant};

use coldcut_wire::Failure;
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use crate::failure::Tried as _;

/// Adds up the time spent in the calls given to it, by `CLOCK_MONOTONIC`.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    spent: Duration,
}

impl Stopwatch {
    /// Runs `call` and adds its duration.
    pub(crate) fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = call();
        self.spent += start.elapsed();
        result
    }

    /// Returns the nanoseconds so far.
    pub(crate) fn nanos(&self) -> u64 {
        u64::try_from(self.spent.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Sets the time of day, in nanoseconds since 1970.
pub(crate) fn set_clock(unix_nanos: u64) -> Result<(), Failure> {
    let time = Timespec {
        tv_sec: (unix_nanos / 1_000_000_000) as i64,
        tv_nsec: (unix_nanos % 1_000_000_000) as i64,
    };
    clock_settime(ClockId::Realtime, time).tried(|| "set the clock".to_owned())
}

/// Returns nanoseconds of `CLOCK_MONOTONIC`, the clock that kernel traces can be stamped with.
pub(crate) fn monotonic_nanos() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
