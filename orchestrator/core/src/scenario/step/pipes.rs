//! Steps with pipes and sockets.

use coldcut_wire::{Op, TransferCall, op};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::{call, nonzero, offset, pause, within};
use super::lowering::Lowering;
use super::target::TargetShape;
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::names::{Content, HANDLE, Label, Target};
use crate::scenario::yaml::units::{Millis, Size};

/// Options of `pipe`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct PipeShape {
    /// Its name.
    handle: At<Label>,
    /// `F_SETPIPE_SZ`; as it comes when not given.
    capacity: Option<At<Size>>,
}

impl PipeShape {
    pub(super) fn lower(&self, cx: &mut Lowering<'_>) -> Lowered<Op> {
        Ok(Op::Pipe(op::Pipe {
            capacity: self.capacity.as_ref().map_or(Ok(0), call)?,
            handle: ends(&self.handle, ["r", "w"], cx)?,
        }))
    }
}

/// Options of `socket`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct SocketShape {
    /// Its name.
    handle: At<Label>,
    /// `SO_SNDBUF` of both ends; as it comes when not given.
    sndbuf: Option<At<Size>>,
    /// `SO_RCVBUF` of both ends; as it comes when not given.
    rcvbuf: Option<At<Size>>,
}

impl SocketShape {
    pub(super) fn lower(&self, cx: &mut Lowering<'_>) -> Lowered<Op> {
        Ok(Op::Socket(op::Socket {
            sndbuf: self.sndbuf.as_ref().map_or(Ok(0), call)?,
            rcvbuf: self.rcvbuf.as_ref().map_or(Ok(0), call)?,
            handle: ends(&self.handle, ["a", "b"], cx)?,
        }))
    }
}

/// Opens the handles of two ends.
fn ends(handle: &At<Label>, ends: [&str; 2], cx: &mut Lowering<'_>) -> Lowered<String> {
    let name = &handle.value.0;
    for end in ends {
        let end = format!("{name}.{end}");
        if cx.handles.has(&end) {
            return Err(Problem::new(&handle.span, format!("the handle `{end}` is open already")).into());
        }
        cx.handles.open(end, name.clone());
    }
    Ok(name.clone())
}

/// Options of `splice`, `tee` and `sendfile`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct TransferShape {
    /// A file, or `fd:HANDLE`.
    from: At<Target>,
    /// A file, or `fd:HANDLE`.
    to: At<Target>,
    /// Where in the source, if it is a file; 0 when not given.
    offset: Option<At<Size>>,
    /// How many bytes, unless the source ends before.
    len: At<Size>,
    /// Bytes a call; all that are left when not given.
    chunk: Option<At<Size>>,
    /// End where a call would block (`SPLICE_F_NONBLOCK`).
    #[serde(default)]
    nonblock: bool,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    within: Option<At<Millis>>,
}

impl TransferShape {
    pub(super) fn lower(&self, how: TransferCall, cx: &Lowering<'_>) -> Lowered<Op> {
        let (from, to) = (cx.handles.target(&self.from)?, cx.handles.target(&self.to)?);
        if how != TransferCall::Sendfile && !from.starts_with(HANDLE) && !to.starts_with(HANDLE) {
            return Err(Problem::new(&self.to.span, "one of the two must be a pipe").into());
        }
        Ok(Op::Transfer(op::Transfer {
            how,
            from,
            to,
            offset: offset(self.offset.as_ref())?,
            len: nonzero(&self.len)?,
            chunk: self.chunk.as_ref().map_or(Ok(0), call)?,
            nonblock: self.nonblock,
            within_ms: within(self.within.as_ref())?,
        }))
    }
}

/// Options of `vmsplice`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct VmspliceShape {
    /// `fd:HANDLE` of a pipe.
    to: At<Target>,
    /// How many bytes, at most 64MiB.
    len: At<Size>,
    /// Which content.
    content: At<Content>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    within: Option<At<Millis>>,
}

impl VmspliceShape {
    pub(super) fn lower(&self, cx: &Lowering<'_>) -> Lowered<Op> {
        Ok(Op::Vmsplice(op::Vmsplice {
            to: cx.handles.stream(&self.to)?,
            len: call(&self.len)?.into(),
            pattern: self.content.value.0.clone(),
            within_ms: within(self.within.as_ref())?,
        }))
    }
}

/// Options of `pump`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct PumpShape {
    /// A file, or `fd:HANDLE` of one.
    from: At<Target>,
    /// The name of a pipe.
    through: At<Label>,
    /// `fd:HANDLE` of a socket or another pipe.
    to: At<Target>,
    /// Where in the file; 0 when not given.
    offset: Option<At<Size>>,
    /// How many bytes, unless the file ends before.
    len: At<Size>,
    /// Most bytes of a splice into the pipe; 1MiB when not given.
    chunk: Option<At<Size>>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    within: Option<At<Millis>>,
}

impl PumpShape {
    pub(super) fn lower(&self, cx: &Lowering<'_>) -> Lowered<Op> {
        let through = &self.through.value.0;
        if !cx.handles.has(&format!("{through}.r")) {
            let message = format!("no pipe `{through}` is open here");
            return Err(Problem::new(&self.through.span, message)
                .help(format!("make it first: `- pipe: {{handle: {through}}}`"))
                .into());
        }
        Ok(Op::Pump(op::Pump {
            from: cx.handles.target(&self.from)?,
            through: through.clone(),
            to: cx.handles.stream(&self.to)?,
            offset: offset(self.offset.as_ref())?,
            len: nonzero(&self.len)?,
            chunk: self.chunk.as_ref().map_or(Ok(1 << 20), call)?,
            within_ms: within(self.within.as_ref())?,
        }))
    }
}

/// Options of `consume`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ConsumeShape {
    /// `fd:HANDLE` of a pipe or socket.
    from: At<Target>,
    /// How many bytes, unless the other end is closed before.
    len: At<Size>,
    /// How many at a time.
    rate: At<Size>,
    /// Pause after each time; none when not given.
    every: Option<At<Millis>>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    within: Option<At<Millis>>,
}

impl ConsumeShape {
    pub(super) fn lower(&self, cx: &Lowering<'_>) -> Lowered<Op> {
        Ok(Op::Consume(op::Consume {
            from: cx.handles.stream(&self.from)?,
            len: nonzero(&self.len)?,
            rate: call(&self.rate)?,
            every_ms: pause(self.every.as_ref())?,
            within_ms: within(self.within.as_ref())?,
        }))
    }
}

pub(super) fn pending(end: &TargetShape, cx: &Lowering<'_>) -> Lowered<Op> {
    let path = cx.handles.stream(&end.path)?;
    Ok(Op::Pending(op::Pending { path }))
}
