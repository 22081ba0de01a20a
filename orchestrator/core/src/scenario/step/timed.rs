//! Steps whose every call is timed.

use coldcut_wire::{Op, op};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::{MAX_CALL, call, nonzero, offset, pause, within};
use super::flags::{FlagShape, flags};
use super::lowering::Lowering;
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::names::{Content, HANDLE, Target};
use crate::scenario::yaml::units::{Millis, Size};

/// Options of `burst`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct BurstShape {
    /// The file, or `fd:HANDLE`.
    path: At<Target>,
    /// Where in the file; 0 when not given.
    offset: Option<At<Size>>,
    /// How many bytes in all.
    len: At<Size>,
    /// Bytes a write(2) call.
    chunk: At<Size>,
    /// Which content; `PATH@0` when not given.
    content: Option<At<Content>>,
    /// How the file is opened, besides for writing and creating.
    #[serde(default)]
    flags: Vec<FlagShape>,
    /// fsync after so many calls, and after the last.
    fsync_every: Option<At<u32>>,
    /// Pause between two calls.
    pause: Option<At<Millis>>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    within: Option<At<Millis>>,
}

impl BurstShape {
    pub(super) fn lower(&self, cx: &Lowering<'_>) -> Lowered<Op> {
        let path = cx.handles.target(&self.path)?;
        let handle = path.starts_with(HANDLE);
        if handle && !self.flags.is_empty() {
            let message = format!("`{path}` is open already: flags belong to its `open` step");
            return Err(Problem::new(&self.path.span, message).into());
        }
        Ok(Op::Burst(op::Burst {
            path,
            offset: offset(self.offset.as_ref())?,
            len: nonzero(&self.len)?,
            chunk: call(&self.chunk)?,
            pattern: cx.handles.content(self.content.as_ref(), &self.path),
            flags: flags(&self.flags, !handle),
            fsync_every: self.fsync_every.as_ref().map_or(0, |n| n.value),
            pause_ms: pause(self.pause.as_ref())?,
            within_ms: within(self.within.as_ref())?,
        }))
    }
}

/// Options of `read`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ReadShape {
    /// The file, or `fd:HANDLE`.
    path: At<Target>,
    /// Where in the file, a multiple of 512; 0 when not given. What comes out of a pipe is taken to begin there.
    offset: Option<At<Size>>,
    /// How many bytes, at most 64MiB.
    len: At<Size>,
    /// Bytes a read(2) call; one call for all when not given.
    chunk: Option<At<Size>>,
    /// With `O_DIRECT`.
    #[serde(default)]
    direct: bool,
    /// How often; once when not given.
    times: Option<At<u32>>,
    /// Pause between two rounds.
    pause: Option<At<Millis>>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    within: Option<At<Millis>>,
}

impl ReadShape {
    pub(super) fn lower(&self, cx: &Lowering<'_>) -> Lowered<Op> {
        let offset = offset(self.offset.as_ref())?;
        if let Some(at) = self.offset.as_ref().filter(|_| !offset.is_multiple_of(512)) {
            return Err(Problem::new(&at.span, "the offset of a read must be a multiple of 512").into());
        }
        let len = nonzero(&self.len)?;
        if len > MAX_CALL {
            return Err(Problem::new(&self.len.span, "one `read` step reads at most 64MiB").into());
        }
        let times = self.times.as_ref().map_or(1, |n| n.value);
        if let Some(given) = self.times.as_ref().filter(|n| n.value == 0) {
            return Err(Problem::new(&given.span, "reading zero times shows nothing").into());
        }
        Ok(Op::Read(op::Read {
            path: cx.handles.target(&self.path)?,
            offset,
            len,
            chunk: self.chunk.as_ref().map_or(Ok(0), call)?,
            direct: self.direct,
            times,
            pause_ms: pause(self.pause.as_ref())?,
            patterns: Vec::new(), // all of the variant's: `resolve` knows them
            within_ms: within(self.within.as_ref())?,
        }))
    }
}
