//! Each lane's thread, and how many requests it has not answered yet.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use coldcut_wire::{LANES, Lane};

/// What lanes can know of one another.
pub(crate) struct LaneTable {
    /// Each lane's thread, by its kernel id; 0 before it was started.
    threads: [AtomicI32; LANES as usize],
    /// Requests that each lane has not answered yet.
    unanswered: [AtomicU32; LANES as usize],
}

impl Default for LaneTable {
    fn default() -> Self {
        Self {
            threads: [const { AtomicI32::new(0) }; LANES as usize],
            unanswered: [const { AtomicU32::new(0) }; LANES as usize],
        }
    }
}

impl LaneTable {
    /// Notes that the calling thread runs a lane from now on.
    pub(crate) fn runs_here(&self, lane: Lane) {
        let id = rustix::thread::gettid().as_raw_nonzero().get();
        if let Some(thread) = self.threads.get(usize::from(lane)) {
            thread.store(id, Ordering::Relaxed);
        }
    }

    /// Returns the kernel's id of the thread that runs a lane, for `/proc/self/task`; none before its first request.
    pub(crate) fn thread_of(&self, lane: Lane) -> Option<i32> {
        let id = self.threads.get(usize::from(lane))?.load(Ordering::Relaxed);
        (id != 0).then_some(id)
    }

    /// Counts a request that a lane was given.
    pub(crate) fn asked(&self, lane: Lane) {
        if let Some(unanswered) = self.unanswered.get(usize::from(lane)) {
            unanswered.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Counts a request that a lane is done with.
    pub(crate) fn answered(&self, lane: Lane) {
        if let Some(unanswered) = self.unanswered.get(usize::from(lane)) {
            unanswered.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Tells whether a lane has a request that it is not done with.
    pub(crate) fn busy(&self, lane: Lane) -> bool {
        let unanswered = self.unanswered.get(usize::from(lane));
        unanswered.is_some_and(|unanswered| unanswered.load(Ordering::SeqCst) > 0)
    }
}
