//! The phases of a cell.

use serde::{Deserialize, Serialize};

/// What a cell is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The filesystem is made.
    Format,
    /// The recording's machine boots.
    Boot,
    /// The setup steps run.
    Setup,
    /// The workload runs and is recorded.
    Record,
    /// Crash states are enumerated.
    Plan,
    /// Crash states are recovered.
    Recover,
    /// What was recovered is judged.
    Judge,
}
