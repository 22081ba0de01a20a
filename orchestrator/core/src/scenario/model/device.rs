//! What a scenario wants of the disk under test.

use serde::Serialize;

use crate::faults::Fault;

/// The disk while it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceSpec {
    /// Bytes a second for all requests together; `None` is no limit.
    pub bandwidth: Option<u64>,
    /// Milliseconds added to each request.
    pub latency_ms: u64,
    /// Whether it has a volatile write cache.
    pub write_cache: bool,
}

impl Default for DeviceSpec {
    fn default() -> Self {
        Self {
            bandwidth: None,
            latency_ms: 0,
            write_cache: true,
        }
    }
}

/// A step that controls the disk. The host does it; the guest knows nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceAction {
    /// Puts a fault in force.
    Arm {
        /// The fault.
        // The name in a scenario's digest.
        #[serde(rename = "rule")]
        fault: Fault,
        /// How long a request may be held at most, in milliseconds; `None` for a fault that holds none.
        within_ms: Option<u64>,
    },
    /// Waits until a fault holds so many requests.
    WaitHeld {
        /// The fault.
        name: String,
        /// How many.
        count: u32,
        /// How long at most, in milliseconds; longer makes the cell Inconclusive.
        within_ms: u64,
    },
    /// Ends a fault; what it holds goes on.
    Release {
        /// The fault.
        name: String,
        /// What it holds is answered with EIO.
        fail: bool,
    },
    /// Changes the speed.
    Set {
        /// Bytes a second (`None` is no limit), if that changes.
        bandwidth: Option<Option<u64>>,
        /// Milliseconds added to each request, if that changes.
        latency_ms: Option<u64>,
    },
}
