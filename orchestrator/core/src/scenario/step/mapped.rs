//! Steps that store through a mapping.

use coldcut_wire::{MsyncMode, Op, op};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::{nonzero, offset};
use super::lowering::Lowering;
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::Lowered;
use crate::scenario::yaml::names::{Content, Target};
use crate::scenario::yaml::units::Size;

/// Options of `mmap_store`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct MmapShape {
    /// The file, or `fd:HANDLE`.
    path: At<Target>,
    /// First byte; 0 when not given.
    offset: Option<At<Size>>,
    /// How many bytes.
    len: At<Size>,
    /// Which content; `PATH@0` when not given.
    content: Option<At<Content>>,
    /// What follows the store; `none` when not given.
    msync: Option<MsyncMode>,
}

impl MmapShape {
    pub(super) fn lower(&self, cx: &Lowering<'_>) -> Lowered<Op> {
        Ok(Op::MmapStore(op::MmapStore {
            path: cx.handles.target(&self.path)?,
            offset: offset(self.offset.as_ref())?,
            len: nonzero(&self.len)?,
            pattern: cx.handles.content(self.content.as_ref(), &self.path),
            msync: self.msync.unwrap_or(MsyncMode::None),
        }))
    }
}
