//! Coverage marks: proof that a test reached the branch that it is about.
//!
//! The engine hits a mark where a rare and telling case is handled; a test asks whether it was. Marks cost nothing in
//! release builds, where they are never hit.

use std::sync::atomic::{AtomicU64, Ordering};

/// A case that tests must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// A FUA write is durable though no flush has covered it.
    FuaBetweenFlushes,
    /// A write completed while a flush was in flight, which does not cover it.
    CompletedDuringFlush,
    /// A chosen volatile write lies under a newer FUA write.
    VolatileUnderDurable,
    /// A discard hides older writes to the same block.
    DiscardOverDirty,
    /// The last units of a write are torn off.
    TornTail,
    /// The first units of a write are torn off.
    TornHead,
    /// A write is torn while others that are volatile with it are left out.
    TornAmongDropped,
    /// Overlapping writes in flight are applied in another order than that of their submission.
    OverlappingInFlight,
    /// A step is acknowledged while writes that completed are volatile.
    AcknowledgedWithoutFlush,
    /// A write in flight whose data stands in the sidecar is chosen.
    InFlightFromSidecar,
    /// A completed write is volatile though a later flush, of another disk, has completed.
    FlushOfAnotherDisk,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::FuaBetweenFlushes,
        Self::CompletedDuringFlush,
        Self::VolatileUnderDurable,
        Self::DiscardOverDirty,
        Self::TornTail,
        Self::TornHead,
        Self::TornAmongDropped,
        Self::OverlappingInFlight,
        Self::AcknowledgedWithoutFlush,
        Self::InFlightFromSidecar,
        Self::FlushOfAnotherDisk,
    ];

    /// How often it was reached in this process; always 0 in release builds.
    pub fn hits(self) -> u64 {
        HITS[self as usize].load(Ordering::Relaxed)
    }
}

static HITS: [AtomicU64; Case::ALL.len()] = [const { AtomicU64::new(0) }; Case::ALL.len()];

pub(crate) fn hit(case: Case) {
    if cfg!(debug_assertions) {
        HITS[case as usize].fetch_add(1, Ordering::Relaxed);
    }
}
