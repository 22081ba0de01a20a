//! Time: what system calls take, and the monotonic clock.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

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

/// Returns nanoseconds of `CLOCK_MONOTONIC`, the clock that kernel traces can be stamped with.
pub(crate) fn monotonic_nanos() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
