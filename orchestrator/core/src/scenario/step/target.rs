//! What many steps take: a name, or a file or handle.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::yaml::at::At;
use crate::scenario::yaml::names::{Path, Target};

/// A name in a directory.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_path))]
pub(super) struct NameShape {
    /// The name.
    pub(super) path: At<Path>,
}

impl NameShape {
    /// The name as the agent spells it.
    pub(super) fn guest(&self) -> String {
        guest(&self.path.value)
    }
}

/// A file or a handle.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_path))]
pub(super) struct TargetShape {
    /// The file, or `fd:HANDLE`.
    pub(super) path: At<Target>,
}

/// The agent's spelling of a path: the root is `.`.
pub(super) fn guest(path: &Path) -> String {
    rooted(&path.0)
}

/// The same of a path as text.
pub(super) fn rooted(path: &str) -> String {
    if path.is_empty() {
        ".".to_owned()
    } else {
        path.to_owned()
    }
}
