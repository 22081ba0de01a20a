//! What is not known, and why.

/// Why nothing is known: what makes a state or a cell Inconclusive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

/// How the cause begins where mkfs does not make the filesystem that was asked for.
pub(crate) const MKFS_REFUSES: &str = "mkfs refuses";
/// How it begins where the kernel does not mount it for the first time, while it is as mkfs made it.
pub(crate) const KERNEL_REFUSES: &str = "the kernel refuses to mount it";
/// How it begins where the kernel that is to recover what another recorded does not mount it even before any crash.
pub(crate) const RECOVERING_REFUSES: &str =
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
