//! Steps that measure, as the scenario file writes them.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::step_doc::FlagDoc;
use super::yaml::at::At;
use super::yaml::names::{Content, Label, Target};
use super::yaml::units::{Millis, Size};

/// Options of `burst`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct BurstDoc {
    /// The file, or `fd:HANDLE`.
    pub(crate) path: At<Target>,
    /// Where in the file; 0 when not given.
    pub(crate) offset: Option<At<Size>>,
    /// How many bytes in all.
    pub(crate) len: At<Size>,
    /// Bytes a write(2) call.
    pub(crate) chunk: At<Size>,
    /// Which content; `PATH@0` when not given.
    pub(crate) content: Option<At<Content>>,
    /// How the file is opened, besides for writing and creating.
    #[serde(default)]
    pub(crate) flags: Vec<FlagDoc>,
    /// fsync after so many calls, and after the last.
    pub(crate) fsync_every: Option<At<u32>>,
    /// Pause between two calls.
    pub(crate) pause: Option<At<Millis>>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    pub(crate) within: Option<At<Millis>>,
}

/// Options of `read`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadDoc {
    /// The file, or `fd:HANDLE`.
    pub(crate) path: At<Target>,
    /// Where in the file, a multiple of 512; 0 when not given. What comes out of a pipe is taken to begin there.
    pub(crate) offset: Option<At<Size>>,
    /// How many bytes, at most 64MiB.
    pub(crate) len: At<Size>,
    /// Bytes a read(2) call; one call for all when not given.
    pub(crate) chunk: Option<At<Size>>,
    /// With `O_DIRECT`.
    #[serde(default)]
    pub(crate) direct: bool,
    /// How often; once when not given.
    pub(crate) times: Option<At<u32>>,
    /// Pause between two rounds.
    pub(crate) pause: Option<At<Millis>>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    pub(crate) within: Option<At<Millis>>,
}

/// Options of `trace`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct TraceDoc {
    /// The event, `SYSTEM:NAME`, such as `writeback:balance_dirty_pages`.
    pub(crate) event: At<String>,
    /// Numbers of each event that become series, by the names that they have in the trace's text.
    #[serde(default)]
    pub(crate) fields: Vec<At<Label>>,
    /// The kernel's own filter, such as `pause > 0`.
    pub(crate) filter: Option<At<String>>,
}

/// Options of `collect`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = super::yaml::schema::or_label))]
pub(crate) struct CollectDoc {
    /// The label of the `trace` step.
    pub(crate) label: At<Label>,
}

/// Options of `observe`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ObserveDoc {
    /// The task.
    pub(crate) task: At<Label>,
    /// Functions, one of which must be in its kernel stack; any when not given.
    #[serde(default)]
    pub(crate) stack: Vec<At<Label>>,
    /// Letters of the states that it may be in, such as `D` or `SD`; any when not given.
    pub(crate) state: Option<At<String>>,
    /// For how long it must be seen so; one look is enough when not given. Whoever waits for the disk is in D for a
    /// moment, too.
    pub(crate) lasting: Option<At<Millis>>,
    /// Given up after so long, which makes the cell inconclusive; 1min when not given.
    pub(crate) within: Option<At<Millis>>,
}

/// Options of `pipe`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct PipeDoc {
    /// Its name.
    pub(crate) handle: At<Label>,
    /// `F_SETPIPE_SZ`; as it comes when not given.
    pub(crate) capacity: Option<At<Size>>,
}

/// Options of `socket`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SocketDoc {
    /// Its name.
    pub(crate) handle: At<Label>,
    /// `SO_SNDBUF` of both ends; as it comes when not given.
    pub(crate) sndbuf: Option<At<Size>>,
    /// `SO_RCVBUF` of both ends; as it comes when not given.
    pub(crate) rcvbuf: Option<At<Size>>,
}

/// Options of `splice`, `tee` and `sendfile`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct TransferDoc {
    /// A file, or `fd:HANDLE`.
    pub(crate) from: At<Target>,
    /// A file, or `fd:HANDLE`.
    pub(crate) to: At<Target>,
    /// Where in the source, if it is a file; 0 when not given.
    pub(crate) offset: Option<At<Size>>,
    /// How many bytes, unless the source ends before.
    pub(crate) len: At<Size>,
    /// Bytes a call; all that are left when not given.
    pub(crate) chunk: Option<At<Size>>,
    /// End where a call would block (`SPLICE_F_NONBLOCK`).
    #[serde(default)]
    pub(crate) nonblock: bool,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    pub(crate) within: Option<At<Millis>>,
}

/// Options of `vmsplice`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct VmspliceDoc {
    /// `fd:HANDLE` of a pipe.
    pub(crate) to: At<Target>,
    /// How many bytes, at most 64MiB.
    pub(crate) len: At<Size>,
    /// Which content.
    pub(crate) content: At<Content>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    pub(crate) within: Option<At<Millis>>,
}

/// Options of `pump`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct PumpDoc {
    /// A file, or `fd:HANDLE` of one.
    pub(crate) from: At<Target>,
    /// The name of a pipe.
    pub(crate) through: At<Label>,
    /// `fd:HANDLE` of a socket or another pipe.
    pub(crate) to: At<Target>,
    /// Where in the file; 0 when not given.
    pub(crate) offset: Option<At<Size>>,
    /// How many bytes, unless the file ends before.
    pub(crate) len: At<Size>,
    /// Most bytes of a splice into the pipe; 1MiB when not given.
    pub(crate) chunk: Option<At<Size>>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    pub(crate) within: Option<At<Millis>>,
}

/// Options of `consume`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsumeDoc {
    /// `fd:HANDLE` of a pipe or socket.
    pub(crate) from: At<Target>,
    /// How many bytes, unless the other end is closed before.
    pub(crate) len: At<Size>,
    /// How many at a time.
    pub(crate) rate: At<Size>,
    /// Pause after each time; none when not given.
    pub(crate) every: Option<At<Millis>>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    pub(crate) within: Option<At<Millis>>,
}
