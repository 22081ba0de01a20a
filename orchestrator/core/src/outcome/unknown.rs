//! What is not known, and why.

/// Why nothing is known: what makes a crash state or a cell Inconclusive. Decisions are made on its cause; its words are
/// for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Unknown {
    cause: Cause,
    words: String,
}

/// The causes that decisions are made on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// mkfs does not make the filesystem that was asked for.
    MkfsRefuses,
    /// The kernel does not mount it for the first time, while it is as mkfs made it.
    KernelRefuses,
    /// The kernel that is to recover what another recorded does not mount it even as it was before any crash.
    RecoveringKernelRefuses,
    /// A step failed that should have succeeded: the kernel refused it, or its program failed.
    StepRefused(RefusedStep),
    /// A wait was given up at its deadline.
    TimedOut,
    /// Anything else: a tool's error, a machine that did not come up.
    #[default]
    Other,
}

/// The source, near or far, of every error that is a time-out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the deadline passed")]
pub struct TimedOut;

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedStep {
    /// Its name.
    pub name: String,
    /// The kernel's errno; `None` for a program.
    pub errno: Option<i32>,
    /// Whether this errno is documented to mean that the filesystem does not support such a step.
    pub unsupported: bool,
}

impl Unknown {
    /// Nothing is decided on this cause.
    pub fn new(words: impl Into<String>) -> Self {
        Self::of(Cause::Other, words)
    }

    /// With a cause.
    pub fn of(cause: Cause, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { cause, words }
    }

    /// Says that something failed while `doing`: by a time-out, where that is what the error comes from.
    pub fn while_doing(doing: &str, error: impl std::error::Error + 'static) -> Self {
        let words = format!("{doing}: {error}");
        let first: &(dyn std::error::Error + 'static) = &error;
        let mut sources = std::iter::successors(Some(first), |error| error.source());
        let given_up = sources
            .any(|error| error.is::<TimedOut>() || error.downcast_ref().is_some_and(Self::is_time_out));
        let cause = if given_up { Cause::TimedOut } else { Cause::Other };
        Self::of(cause, words)
    }

    /// mkfs refused, with this error.
    pub fn mkfs_refuses(error: impl std::fmt::Display) -> Self {
        Self::of(Cause::MkfsRefuses, format!("mkfs refuses: {error}"))
    }

    /// The kernel refused the new filesystem, and said this.
    pub fn kernel_refuses(said: impl std::fmt::Display) -> Self {
        let words = format!("the kernel refuses to mount it: {said}");
        Self::of(Cause::KernelRefuses, words)
    }

    /// The recovering kernel refused the filesystem before any crash, and said this.
    pub fn recovering_kernel_refuses(said: impl std::fmt::Display) -> Self {
        let words = format!(
            "the recovering kernel refuses it also as it was before the recording, unmounted: {said}"
        );
        Self::of(Cause::RecoveringKernelRefuses, words)
    }

    /// The same cause, in other words.
    #[must_use]
    pub fn in_words(self, words: impl FnOnce(&str) -> String) -> Self {
        let words = words(&self.words);
        Self { words, ..self }
    }

    /// What decisions are made on.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// What people read.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Whether a wait was given up.
    pub fn is_time_out(&self) -> bool {
        self.cause == Cause::TimedOut
    }

    /// Whether there is no such filesystem here: mkfs does not make it, or the kernel does not mount it when it is new.
    pub fn is_refusal(&self) -> bool {
        matches!(self.cause, Cause::MkfsRefuses | Cause::KernelRefuses)
    }

    /// Whether a kernel does not know the filesystem that another recorded, whatever a crash does to it.
    pub fn is_incompatible(&self) -> bool {
        self.cause == Cause::RecoveringKernelRefuses
    }

    /// Whether the kernel refused a step as one that the filesystem does not support.
    pub fn is_unsupported_step(&self) -> bool {
        matches!(&self.cause, Cause::StepRefused(step) if step.unsupported)
    }
}

/// Adds what was being done to an error that makes the outcome unknown.
pub trait OrUnknown<T> {
    /// Turns an error into an [`Unknown`], as [`Unknown::while_doing`] does.
    ///
    /// # Errors
    /// [`Unknown`], where there was an error.
    fn or_unknown(self, doing: &str) -> Result<T, Unknown>;
}

impl<T, E: std::error::Error + 'static> OrUnknown<T> for Result<T, E> {
    fn or_unknown(self, doing: &str) -> Result<T, Unknown> {
        self.map_err(|error| Unknown::while_doing(doing, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_decide_nothing() {
        for words in [
            "mkfs refuses: a text that a program printed",
            "the kernel refuses to mount it, says a program",
            "the recovering kernel refuses it also as it was before the recording, unmounted",
        ] {
            let unknown = Unknown::new(words);
            assert!(!unknown.is_refusal() && !unknown.is_incompatible() && !unknown.is_unsupported_step());
        }
    }

    #[test]
    fn a_time_out_is_one_however_far_it_comes_from() {
        #[derive(Debug, thiserror::Error)]
        #[error("the agent did not answer")]
        struct Silent {
            source: TimedOut,
        }
        #[derive(Debug, thiserror::Error)]
        #[error("walking: {source}")]
        struct Walking {
            source: Silent,
        }
        let source = Silent { source: TimedOut };
        let unknown = Unknown::while_doing("recovering", Walking { source });
        assert!(unknown.is_time_out());
        assert_eq!(unknown.words(), "recovering: walking: the agent did not answer");
        assert!(Unknown::while_doing("again", unknown).is_time_out());
        assert!(!Unknown::while_doing("reading", std::io::Error::other("the deadline passed")).is_time_out());
    }

    #[test]
    fn a_cause_outlives_its_words() {
        let reworded =
            |unknown: Unknown| unknown.in_words(|words| format!("in the task `t`: {words}; and so on"));
        let mkfs = reworded(Unknown::mkfs_refuses("no such feature"));
        assert!(mkfs.is_refusal());
        assert_eq!(
            mkfs.to_string(),
            "in the task `t`: mkfs refuses: no such feature; and so on"
        );
        assert!(reworded(Unknown::kernel_refuses("bad option")).is_refusal());
        assert!(reworded(Unknown::recovering_kernel_refuses("feature 0x10")).is_incompatible());
        for unsupported in [true, false] {
            let step = RefusedStep {
                name: "punch".into(),
                errno: Some(95),
                unsupported,
            };
            let refused = reworded(Unknown::of(Cause::StepRefused(step), "step `punch` failed"));
            assert_eq!(refused.is_unsupported_step(), unsupported);
        }
    }
}
