//! Why plans fail.

/// A plan that the log cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A name that is no mark of this recording.
    #[error("no mark {name:?} in the log{}", suggestion(nearest.as_deref()))]
    UnknownMark {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// An entry past the end.
    #[error("no entry {entry} in the log, which has {entries}")]
    UnknownEntry {
        /// What was asked for.
        entry: u32,
        /// How many there are.
        entries: u32,
    },
    /// The window's marks stand the other way round.
    #[error("the mark {to:?} is not after {from:?}")]
    EmptyWindow {
        /// The first.
        from: String,
        /// The second.
        to: String,
    },
    /// Marks and writes are not in the order in which they happened.
    #[error(
        "`between` needs a log in completion order; in kernel order a write may stand after a mark that it preceded"
    )]
    KernelOrder,
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}
