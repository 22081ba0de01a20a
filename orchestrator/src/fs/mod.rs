//! Filesystems as the host sees them: made by mkfs, judged by their checker. Both are the distribution's own tools.

mod check;
mod make;

pub use check::{CheckError, Repair, check, repair};
pub use make::{MakeError, make};

/// How long a tool may take before it is killed.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(120);
