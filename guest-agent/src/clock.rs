//! Measures system calls and nothing else.

use std::time::{Duration, Instant};

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

    /// Nanoseconds so far.
    pub(crate) fn nanos(&self) -> u64 {
        u64::try_from(self.spent.as_nanos()).unwrap_or(u64::MAX)
    }
}
