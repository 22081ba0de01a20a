//! Steps that make, move and remove names.

use coldcut_wire::{Op, RenameMode, op};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::target::{NameShape, guest};
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::names::Path;
use crate::scenario::yaml::units::Mode;

/// Options of `mkdir`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_path))]
pub(super) struct MkdirShape {
    /// The directory.
    path: At<Path>,
    /// Permissions; 0755 when not given.
    mode: Option<Mode>,
    /// Make missing parents too.
    #[serde(default)]
    parents: bool,
}

impl MkdirShape {
    pub(super) fn lower(&self) -> Op {
        Op::Mkdir(op::Mkdir {
            path: guest(&self.path.value),
            mode: self.mode.map_or(0o755, |m| m.0),
            parents: self.parents,
        })
    }
}

/// Options of `create`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_path))]
pub(super) struct CreateShape {
    /// The file.
    path: At<Path>,
    /// Permissions; 0644 when not given.
    mode: Option<Mode>,
    /// Fail when it exists.
    #[serde(default)]
    exclusive: bool,
}

impl CreateShape {
    pub(super) fn lower(&self) -> Op {
        Op::Create(op::Create {
            path: guest(&self.path.value),
            mode: self.mode.map_or(0o644, |m| m.0),
            exclusive: self.exclusive,
        })
    }
}

/// Options of `rename`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RenameShape {
    /// The old name.
    from: At<Path>,
    /// The new name.
    to: At<Path>,
    /// What becomes of the new name's old file; `replace` when not given.
    mode: Option<RenameMode>,
}

impl RenameShape {
    pub(super) fn lower(&self) -> Op {
        Op::Rename(op::Rename {
            from: guest(&self.from.value),
            to: guest(&self.to.value),
            mode: self.mode.unwrap_or(RenameMode::Replace),
        })
    }
}

/// Options of `link`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct LinkShape {
    /// The existing name.
    from: At<Path>,
    /// The new name.
    to: At<Path>,
}

impl LinkShape {
    pub(super) fn lower(&self) -> Op {
        Op::Link(op::Link {
            from: guest(&self.from.value),
            to: guest(&self.to.value),
        })
    }
}

/// Options of `symlink`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct SymlinkShape {
    /// The new name.
    path: At<Path>,
    /// What it points to, unchanged.
    target: String,
}

impl SymlinkShape {
    pub(super) fn lower(&self) -> Op {
        Op::Symlink(op::Symlink {
            target: self.target.clone(),
            path: guest(&self.path.value),
        })
    }
}

pub(super) fn unlink(name: &NameShape) -> Op {
    Op::Unlink(op::Unlink { path: name.guest() })
}

pub(super) fn rmdir(name: &NameShape) -> Op {
    Op::Rmdir(op::Rmdir { path: name.guest() })
}
