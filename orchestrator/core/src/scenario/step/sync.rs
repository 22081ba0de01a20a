//! Steps that make things durable.

use coldcut_wire::{Op, SyncRangeFlags, op};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::lowering::Lowering;
use super::target::{NameShape, TargetShape};
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::Lowered;
use crate::scenario::yaml::names::Target;
use crate::scenario::yaml::units::Size;

pub(super) fn fsync(file: &TargetShape, cx: &Lowering<'_>) -> Lowered<Op> {
    Ok(Op::Fsync(op::Fsync {
        path: cx.handles.target(&file.path)?,
        directory: false,
    }))
}

pub(super) fn fdatasync(file: &TargetShape, cx: &Lowering<'_>) -> Lowered<Op> {
    let path = cx.handles.target(&file.path)?;
    Ok(Op::Fdatasync(op::Fdatasync { path }))
}

pub(super) fn fsync_dir(directory: &NameShape) -> Op {
    Op::Fsync(op::Fsync {
        path: directory.guest(),
        directory: true,
    })
}

/// Options of `sync_file_range`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_path))]
pub(super) struct SyncFileRangeShape {
    /// The file, or `fd:HANDLE`.
    path: At<Target>,
    /// First byte; 0 when not given.
    offset: Option<Size>,
    /// How many bytes; 0, to the end, when not given.
    len: Option<Size>,
    /// What to do, in this order; all three when not given.
    flags: Option<Vec<SyncRangeFlagShape>>,
}

/// A flag of `sync_file_range(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum SyncRangeFlagShape {
    /// `SYNC_FILE_RANGE_WAIT_BEFORE`.
    WaitBefore,
    /// `SYNC_FILE_RANGE_WRITE`.
    Write,
    /// `SYNC_FILE_RANGE_WAIT_AFTER`.
    WaitAfter,
}

impl SyncFileRangeShape {
    pub(super) fn lower(&self, cx: &Lowering<'_>) -> Lowered<Op> {
        let has = |flag| self.flags.as_ref().is_none_or(|f| f.contains(&flag));
        Ok(Op::SyncFileRange(op::SyncFileRange {
            path: cx.handles.target(&self.path)?,
            offset: self.offset.map_or(0, |o| o.0),
            len: self.len.map_or(0, |l| l.0),
            flags: SyncRangeFlags {
                wait_before: has(SyncRangeFlagShape::WaitBefore),
                write: has(SyncRangeFlagShape::Write),
                wait_after: has(SyncRangeFlagShape::WaitAfter),
            },
        }))
    }
}
