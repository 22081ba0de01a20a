//! Arguments of what looks at the kernel.

use serde::{Deserialize, Serialize};

/// Begin to record a tracepoint, `SYSTEM:NAME`, in a buffer of its own. `filter` in the kernel's own syntax
/// (Documentation/trace/events.rst), empty: none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The trace's name, for [`Collect`].
    pub name: String,
    /// The tracepoint, `SYSTEM:NAME`.
    pub event: String,
    /// The filter in the kernel's syntax; empty is none.
    pub filter: String,
    /// What [`Collect`] will ask for.
    pub fields: Vec<String>,
}

/// End a trace: figure `events`, and for each of `fields` a series of what stands after `FIELD=`. Events that were
/// lost are a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collect {
    /// The name that [`Trace`] gave.
    pub name: String,
    /// Fields of the event that become series.
    pub fields: Vec<String>,
}

/// Look at another lane until it is in one of `states` (letters of `/proc/PID/stat`) with one of `frames` in its kernel
/// stack, and stays so for `lasting_ms`. Figures `found` and `waited` (ns), texts `stack` and `state`. `found` is 1, or 0
/// when the lane came to rest before it was seen so; running out of time is a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observe {
    /// The lane to look at.
    pub lane: crate::Lane,
    /// Functions of the kernel, one of which must be in the stack; empty is any.
    pub frames: Vec<String>,
    /// Letters of the states that it may be in; empty is any.
    pub states: String,
    /// How long it must be seen so, in milliseconds; 0 is one look.
    pub lasting_ms: u64,
    /// After how many milliseconds it is given up, as a failure.
    pub within_ms: u64,
}

/// Wait until a transaction that was open when the last operation ended, or a later one, is committed, without causing
/// a commit. Fails with ETIMEDOUT when nothing that may hold that operation was committed within `within_ms`, and without
/// an errno when only a transaction was committed that may or may not hold it. Figure `waited` (ns).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// How long to wait at most, in milliseconds.
    pub within_ms: u64,
}
