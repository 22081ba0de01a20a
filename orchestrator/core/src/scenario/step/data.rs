//! Steps that write data and change where a file has it.

use coldcut_wire::{FallocateMode, Op, WriteFlags, op};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::{nonzero, offset};
use super::flags::{FlagShape, flags};
use super::head::Head;
use super::lowering::Lowering;
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::names::{Content, HANDLE, Target};
use crate::scenario::yaml::units::Size;

/// Options of `write`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct WriteShape {
    /// The file, or `fd:HANDLE`.
    path: At<Target>,
    /// Where in the file; 0 when not given. Not with `append`.
    offset: Option<At<Size>>,
    /// How many bytes.
    len: At<Size>,
    /// Bytes a write(2) call; one call for all when not given.
    chunk: Option<At<Size>>,
    /// Which content: the file's bytes of the same offsets. `PATH@0` when not given.
    content: Option<At<Content>>,
    /// How the file is opened, besides for writing.
    #[serde(default)]
    flags: Vec<FlagShape>,
    /// Create the file when it is missing; true when not given.
    create: Option<bool>,
}

impl WriteShape {
    pub(super) fn lower(&self, head: &Head, cx: &Lowering<'_>) -> Lowered<Op> {
        let path = cx.handles.target(&self.path)?;
        let handle = path.starts_with(HANDLE);
        let flags = flags(&self.flags, self.create.unwrap_or(true) && !handle);
        if handle && !self.flags.is_empty() {
            let message = format!("`{path}` is open already: flags belong to its `open` step");
            return Err(Problem::new(&self.path.span, message).into());
        }
        if flags.aio && (!flags.direct || flags.append) {
            let message = "`aio` needs `direct`, and no `append`: without them it is an ordinary write";
            return Err(Problem::new(&self.path.span, message).into());
        }
        if let (true, Some(offset)) = (flags.append, &self.offset) {
            let message = "an appending write has no offset: it starts at the file's end";
            return Err(Problem::new(&offset.span, message).into());
        }
        if head.errno.is_none() {
            self.check_aligned(flags)?;
        }
        let chunk = match &self.chunk {
            None => 0,
            Some(chunk) => u32::try_from(chunk.value.0)
                .map_err(|_| Problem::new(&chunk.span, "a chunk is less than 4GiB"))?,
        };
        Ok(Op::Write(op::Write {
            path,
            offset: offset(self.offset.as_ref())?,
            len: nonzero(&self.len)?,
            chunk,
            pattern: cx.handles.content(self.content.as_ref(), &self.path),
            flags,
        }))
    }

    fn check_aligned(&self, flags: WriteFlags) -> Lowered<()> {
        let fields = [
            ("offset", self.offset.as_ref()),
            ("len", Some(&self.len)),
            ("chunk", self.chunk.as_ref()),
        ];
        for (name, value) in fields {
            if let Some(value) = value
                && flags.direct
                && !value.value.0.is_multiple_of(512)
            {
                let message = format!("`{name}` of an O_DIRECT write must be a multiple of 512 bytes");
                let help = "if it is meant to be refused, say so: `errno: EINVAL`";
                let label = format!("is {} more than one", value.value.0 % 512);
                return Err(Problem::new(&value.span, message).label(label).help(help).into());
            }
        }
        Ok(())
    }
}

/// Options of `truncate`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct TruncateShape {
    /// The file, or `fd:HANDLE`.
    path: At<Target>,
    /// Its new size.
    size: Size,
}

impl TruncateShape {
    pub(super) fn lower(&self, cx: &Lowering<'_>) -> Lowered<Op> {
        Ok(Op::Truncate(op::Truncate {
            path: cx.handles.target(&self.path)?,
            size: self.size.0,
        }))
    }
}

/// Options of `fallocate`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct FallocateShape {
    /// The file, or `fd:HANDLE`.
    path: At<Target>,
    /// What to do; `allocate` when not given.
    mode: Option<FallocateMode>,
    /// First byte; 0 when not given.
    offset: Option<Size>,
    /// How many bytes.
    len: At<Size>,
}

impl FallocateShape {
    pub(super) fn lower(&self, cx: &Lowering<'_>) -> Lowered<Op> {
        Ok(Op::Fallocate(op::Fallocate {
            path: cx.handles.target(&self.path)?,
            mode: self.mode.unwrap_or(FallocateMode::Allocate),
            offset: self.offset.map_or(0, |o| o.0),
            len: nonzero(&self.len)?,
        }))
    }
}
