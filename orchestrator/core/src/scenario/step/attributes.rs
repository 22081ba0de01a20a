//! Steps that change what an inode says of its file.

use coldcut_wire::{Op, op};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::target::guest;
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::names::Path;
use crate::scenario::yaml::units::Mode;

/// Options of `setxattr`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct SetxattrShape {
    /// The file.
    path: At<Path>,
    /// Name with its namespace, such as `user.tag`.
    name: At<String>,
    /// Value.
    value: String,
}

impl SetxattrShape {
    pub(super) fn lower(&self) -> Lowered<Op> {
        Ok(Op::Setxattr(op::Setxattr {
            path: guest(&self.path.value),
            name: xattr_name(&self.name)?,
            value: self.value.clone().into_bytes(),
        }))
    }
}

/// Options of `removexattr`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RemovexattrShape {
    /// The file.
    path: At<Path>,
    /// Name with its namespace.
    name: At<String>,
}

impl RemovexattrShape {
    pub(super) fn lower(&self) -> Lowered<Op> {
        Ok(Op::Removexattr(op::Removexattr {
            path: guest(&self.path.value),
            name: xattr_name(&self.name)?,
        }))
    }
}

/// Options of `chmod`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ChmodShape {
    /// The file.
    path: At<Path>,
    /// Its new permissions.
    mode: Mode,
}

impl ChmodShape {
    pub(super) fn lower(&self) -> Op {
        Op::Chmod(op::Chmod {
            path: guest(&self.path.value),
            mode: self.mode.0,
        })
    }
}

/// Options of `chown`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ChownShape {
    /// The file.
    path: At<Path>,
    /// Its new owner.
    uid: u32,
    /// Its new group.
    gid: u32,
}

impl ChownShape {
    pub(super) fn lower(&self) -> Op {
        Op::Chown(op::Chown {
            path: guest(&self.path.value),
            uid: self.uid,
            gid: self.gid,
        })
    }
}

/// Options of `utimes`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct UtimesShape {
    /// The file.
    path: At<Path>,
    /// Access time, nanoseconds since the epoch.
    atime_ns: i64,
    /// Modification time, nanoseconds since the epoch.
    mtime_ns: i64,
}

impl UtimesShape {
    pub(super) fn lower(&self) -> Op {
        Op::Utimes(op::Utimes {
            path: guest(&self.path.value),
            atime_ns: self.atime_ns,
            mtime_ns: self.mtime_ns,
        })
    }
}

/// An extended attribute's name, which begins with its namespace.
fn xattr_name(name: &At<String>) -> Lowered<String> {
    const SPACES: [&str; 4] = ["user.", "trusted.", "security.", "system."];
    if SPACES
        .iter()
        .any(|space| name.value.len() > space.len() && name.value.starts_with(space))
    {
        return Ok(name.value.clone());
    }
    let message = format!(
        "expected an attribute's name with its namespace, found `{}`",
        name.value
    );
    Err(Problem::new(&name.span, message)
        .help(format!("such as `user.{}`", name.value))
        .into())
}
