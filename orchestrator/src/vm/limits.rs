//! How long a guest may take.

use std::time::Duration;

/// Deadlines. They are generous, because a time-out proves nothing: hosts are shared, and emulation is slow.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From QEMU's start to the agent's greeting.
    pub boot: Duration,
    /// From QEMU's start to a clone that goes on. Then the kernel is booted instead.
    pub clone: Duration,
    /// mount(2), with the recovery that it does.
    pub mount: Duration,
    /// One step of a workload, beyond what it sleeps.
    pub step: Duration,
    /// Walking the tree.
    pub walk: Duration,
    /// Unmounting.
    pub unmount: Duration,
    /// Anything else.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            boot: s(180),
            clone: s(60),
            mount: s(120),
            step: s(120),
            walk: s(180),
            unmount: s(120),
            answer: s(60),
        }
    }
}
