//! How many machines may run at once: as many as asked for, and never more than memory holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use coldcut_core::outcome::unknown::Unknown;

/// QEMU itself, beside its guest's memory.
const QEMU_MIB: u32 = 96;
/// How many tenths of the memory that is free at the start may be used.
const TENTHS: u32 = 8;
/// How many clones are measured before their largest size is trusted.
const SAMPLES: u32 = 12;

/// The budget.
#[derive(Debug)]
pub struct Budget {
    slots: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    total_mib: u32,
    /// Largest private memory of a clone seen, in MiB; and how many were looked at.
    largest: AtomicU32,
    samples: AtomicU32,
}

/// Room for one machine, until dropped.
#[derive(Debug)]
pub struct Room {
    _slot: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
}

impl Budget {
    /// For `jobs` machines at once, in the memory that is available now.
    pub fn new(jobs: usize) -> Self {
        let free = available_mib().unwrap_or(1024);
        Self::with_memory(jobs, free / 10 * TENTHS)
    }

    fn with_memory(jobs: usize, total_mib: u32) -> Self {
        let total_mib = total_mib.max(QEMU_MIB);
        Self {
            slots: Arc::new(Semaphore::new(jobs.max(1))),
            memory: Arc::new(Semaphore::new(total_mib as usize)),
            total_mib,
            largest: AtomicU32::new(0),
            samples: AtomicU32::new(0),
        }
    }

    /// Waits for room for a machine with so much memory that boots, or is a clone. One machine always fits, alone.
    ///
    /// # Errors
    /// Never, unless the pool was closed.
    pub async fn room(&self, memory_mib: u32, clone: bool) -> Result<Room, Unknown> {
        let closed = |_| Unknown::new("the pool is closed");
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(closed)?;
        let cost = self.cost(memory_mib, clone);
        let memory = Arc::clone(&self.memory)
            .acquire_many_owned(cost)
            .await
            .map_err(closed)?;
        Ok(Room {
            _slot: slot,
            _memory: memory,
        })
    }

    /// Room for a machine with so much memory that boots, if there is room now.
    pub fn spare(&self, memory_mib: u32) -> Option<Room> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let memory = Arc::clone(&self.memory)
            .try_acquire_many_owned(self.cost(memory_mib, false))
            .ok()?;
        Some(Room {
            _slot: slot,
            _memory: memory,
        })
    }

    /// How much memory a machine counts for: all that it could ever use, unless clones were measured.
    fn cost(&self, memory_mib: u32, clone: bool) -> u32 {
        let whole = memory_mib + QEMU_MIB;
        let largest = self.largest.load(Ordering::Relaxed);
        let cost = if clone && self.samples.load(Ordering::Relaxed) >= SAMPLES / 2 {
            // Half as much again, because the next state may need more than those so far.
            (largest + largest / 2 + 16).min(whole)
        } else {
            whole
        };
        cost.min(self.total_mib)
    }

    /// Looks at a clone's memory, if not enough were looked at.
    pub fn measure(&self, pid: i32) {
        if self.samples.load(Ordering::Relaxed) >= SAMPLES {
            return;
        }
        if let Some(mib) = private_mib(pid) {
            self.largest.fetch_max(mib, Ordering::Relaxed);
            self.samples.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The largest private memory of a clone so far, in MiB; `None` before any was measured.
    pub fn largest_clone(&self) -> Option<u32> {
        (self.samples.load(Ordering::Relaxed) > 0).then(|| self.largest.load(Ordering::Relaxed))
    }
}

/// Memory that a process shares with nobody, in MiB, rounded up: `Private_Dirty` of proc(5)'s `smaps_rollup`.
pub fn private_mib(pid: i32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    kib(&text, "Private_Dirty:").map(|kib| kib.div_ceil(1024))
}

/// Memory that is available now, in MiB: `MemAvailable` of proc(5).
pub fn available_mib() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    kib(&text, "MemAvailable:").map(|kib| kib / 1024)
}

fn kib(text: &str, name: &str) -> Option<u32> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_counted_whole_until_clones_were_measured() {
        let budget = Budget::with_memory(4, 4096);
        assert_eq!(budget.cost(256, true), 352);
        budget.largest.store(40, Ordering::Relaxed);
        budget.samples.store(SAMPLES, Ordering::Relaxed);
        assert_eq!(budget.cost(256, true), 76);
        assert_eq!(budget.cost(256, false), 352, "what boots is counted whole");
        assert_eq!(budget.cost(1 << 20, false), 4096, "one machine always fits");
    }

    #[tokio::test]
    async fn memory_limits_machines_before_jobs_do() {
        let budget = Budget::with_memory(8, 800);
        let rooms = (
            budget.room(256, false).await.unwrap(),
            budget.room(256, false).await.unwrap(),
        );
        let third = tokio::time::timeout(std::time::Duration::from_millis(50), budget.room(256, false)).await;
        assert!(third.is_err(), "there is no room for a third");
        assert!(budget.spare(256).is_none(), "and none to spare");
        drop(rooms);
        assert!(budget.spare(256).is_some());
        assert!(budget.room(256, false).await.is_ok());
    }

    #[test]
    fn our_own_memory_can_be_read() {
        assert!(private_mib(std::process::id() as i32).is_some_and(|mib| mib > 0));
        assert!(available_mib().is_some_and(|mib| mib > 0));
    }
}
