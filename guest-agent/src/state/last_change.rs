//! When files may have changed last.

use crate::clock::monotonic_nanos;

/// When the last operation that may have changed files began and ended, in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastChange {
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

impl LastChange {
    /// Replaces the last change by one that began at `began` and ends now; lanes end in any order.
    pub(crate) fn ends_now(&mut self, began: u64) {
        *self = Self {
            began,
            ended: monotonic_nanos(),
        };
    }
}
