//! The straight line: a scenario's cell is recorded, its crash states are recovered and judged.
//!
//! [`lab`] has the machines, [`session`] the conversation with one guest, [`record`] makes a recording, `contents` cuts
//! it, [`recover`] recovers one content, `judge` judges all, `live` runs what needs no crash, [`cell`] ties them to a
//! verdict.

pub mod budget;
pub mod cell;
mod contents;
mod disk;
mod judge;
pub mod lab;
mod line;
mod live;
mod own_mode;
pub(crate) mod panics;
pub mod record;
pub mod recorded;
pub mod recover;
pub(crate) mod refused;
pub mod session;
mod steps;
pub mod templates;
pub mod tiers;
pub(crate) mod timings;

/// Why nothing is known: what makes a state or a cell Inconclusive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

/// How the cause begins where mkfs does not make the filesystem that was asked for.
const MKFS_REFUSES: &str = "mkfs refuses";
/// How it begins where the kernel does not mount it for the first time, while it is as mkfs made it.
const KERNEL_REFUSES: &str = "the kernel refuses to mount it";
/// How it begins where the kernel that is to recover what another recorded does not mount it even before any crash.
const RECOVERING_REFUSES: &str =
    "the recovering kernel refuses it also as it was before the recording, unmounted";

impl Unknown {
    /// Whether there is no such filesystem here: mkfs does not make it, or the kernel does not mount it when it is new.
    pub fn is_refusal(&self) -> bool {
        self.0.starts_with(MKFS_REFUSES) || self.0.starts_with(KERNEL_REFUSES)
    }

    /// Whether a kernel does not know the filesystem that another recorded, whatever a crash does to it.
    pub fn is_incompatible(&self) -> bool {
        self.0.starts_with(RECOVERING_REFUSES)
    }

    /// Something failed while `doing`.
    pub fn while_doing(doing: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{doing}: {error}"))
    }
}

/// Adds what was being done to an error that makes the outcome unknown.
pub(crate) trait OrUnknown<T> {
    /// As [`Unknown::while_doing`].
    fn or_unknown(self, doing: &str) -> Result<T, Unknown>;
}

impl<T, E: std::fmt::Display> OrUnknown<T> for Result<T, E> {
    fn or_unknown(self, doing: &str) -> Result<T, Unknown> {
        self.map_err(|error| Unknown::while_doing(doing, error))
    }
}
