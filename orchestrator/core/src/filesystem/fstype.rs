//! A filesystem's type, as scenarios and reports name it.

#[cfg(feature = "schema")]
use std::borrow::Cow;

#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ALL, Filesystem};

/// A filesystem that coldcut can make and mount: a line of [`ALL`].
#[derive(Clone, Copy)]
pub struct FsType(&'static Filesystem);

impl FsType {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|fs| Self(fs))
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|fstype| fstype.name() == name)
    }

    /// The default: the filesystem of generated scenarios, of benchmarks and of kernels that coldcut builds.
    pub fn first() -> Self {
        Self(ALL[0])
    }

    /// A small one of this type and size (such as `64MiB`), as a scenario's part in YAML.
    pub fn small(self, size: &str) -> String {
        let options: Vec<String> = self.mkfs.small.iter().map(|word| format!("{word:?}")).collect();
        format!(
            "filesystem:\n  type: {}\n  size: {size}\n  mkfs: [{}]\n",
            self.name(),
            options.join(", ")
        )
    }

    /// As mount(8) names it.
    pub fn name(self) -> &'static str {
        self.0.name
    }
}

impl std::ops::Deref for FsType {
    type Target = Filesystem;

    fn deref(&self) -> &Filesystem {
        self.0
    }
}

impl PartialEq for FsType {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for FsType {}

impl std::fmt::Debug for FsType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for FsType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for FsType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for FsType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| D::Error::custom(format!("unknown filesystem type `{name}`")))
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for FsType {
    fn schema_name() -> Cow<'static, str> {
        "FsType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = ALL.iter().map(|fs| fs.name).collect();
        json_schema!({
            "description": "A filesystem that coldcut can make and mount.",
            "type": "string",
            "enum": names,
        })
    }
}
