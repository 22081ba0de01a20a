//! Steps that open and close handles of files.

use coldcut_wire::{Op, op};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::flags::{FlagShape, flags, not_aio};
use super::lowering::Lowering;
use super::target::guest;
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::names::{Label, Path};

/// Options of `open`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct OpenShape {
    /// The file.
    path: At<Path>,
    /// The handle's name.
    handle: At<Label>,
    /// How the file is opened.
    #[serde(default)]
    flags: Vec<FlagShape>,
    /// Create the file when it is missing; true when not given, unless read-only.
    create: Option<bool>,
    /// Open for reading only.
    #[serde(default)]
    read_only: bool,
}

impl OpenShape {
    pub(super) fn lower(&self, cx: &mut Lowering<'_>) -> Lowered<Op> {
        let handle = self.handle.value.0.clone();
        if cx.handles.has(&handle) {
            let message = format!("the handle `{handle}` is open already");
            return Err(Problem::new(&self.handle.span, message)
                .help(format!("close it first: `- close: {handle}`"))
                .into());
        }
        not_aio(&self.flags, &self.path.span)?;
        cx.handles.open(handle.clone(), self.path.value.0.clone());
        let create = self.create.unwrap_or(!self.read_only);
        Ok(Op::Open(op::Open {
            path: guest(&self.path.value),
            handle,
            flags: flags(&self.flags, create),
            read_only: self.read_only,
        }))
    }
}

pub(super) fn close(handle: &At<Label>, cx: &mut Lowering<'_>) -> Lowered<Op> {
    let handle = cx.handles.close(handle)?;
    Ok(Op::Close(op::Close { handle }))
}
