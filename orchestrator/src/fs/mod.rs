//! Filesystems as the host sees them: made by mkfs, judged by their checker. Both are the distribution's own tools.

mod check;
mod ext_journal;
mod make;

pub use check::{CheckError, RepairOutcome, check, check_on, repair};
pub use make::{MakeError, make, make_on};

/// How long a tool may take before it is killed.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(120);
