//! Bounds: which names, operations and persistence points there are.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::change::Kind;
use super::persist::Point;
use crate::scenario::parse_path;

/// Files and directories at most, each.
const MAX_NAMES: usize = 16;

/// What workloads are made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Names of files and symbolic links.
    pub files: Vec<String>,
    /// Names of directories, besides the root.
    pub directories: Vec<String>,
    /// Operations.
    pub operations: Vec<Kind>,
    /// What may follow each operation.
    pub persist: Vec<Point>,
}

impl Default for Bounds {
    fn default() -> Self {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            files: all(&["foo", "bar", "A/foo", "A/bar", "B/foo", "B/bar"]),
            directories: all(&["A", "B"]),
            operations: Kind::ALL.to_vec(),
            persist: Point::ALL.to_vec(),
        }
    }
}

/// Bounds that are wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoundsError {
    /// They are no YAML of the right form; the message says where.
    #[error("{file}: {what}")]
    Yaml {
        /// The file.
        file: String,
        /// What is wrong, and in which line.
        what: String,
    },
    /// A name cannot be used.
    #[error("{file}: `{name}`: {why}")]
    Name {
        /// The file.
        file: String,
        /// The name.
        name: String,
        /// What was expected.
        why: String,
    },
    /// A list is empty, or too long.
    #[error("{file}: `{list}` has {found} entries; expected 1 to {most}")]
    Count {
        /// The file.
        file: String,
        /// Which list.
        list: &'static str,
        /// How many it has.
        found: usize,
        /// How many it may have.
        most: usize,
    },
}

impl Bounds {
    /// Reads bounds; keys that are left out are as in [`Bounds::default`]. `file` is only shown.
    ///
    /// # Errors
    /// [`BoundsError`].
    pub fn parse(file: &str, text: &str) -> Result<Self, BoundsError> {
        let bounds: Self = serde_yaml::from_str(text).map_err(|error| BoundsError::Yaml {
            file: file.to_owned(),
            what: error.without_snippet().to_string(),
        })?;
        bounds.check(file)?;
        Ok(bounds)
    }

    fn check(&self, file: &str) -> Result<(), BoundsError> {
        let lists = [
            ("files", self.files.len(), MAX_NAMES),
            ("operations", self.operations.len(), Kind::ALL.len()),
            ("persist", self.persist.len(), Point::ALL.len()),
        ];
        for (list, found, most) in lists {
            if !(1..=most).contains(&found) {
                let file = file.to_owned();
                return Err(BoundsError::Count {
                    file,
                    list,
                    found,
                    most,
                });
            }
        }
        if self.directories.len() > MAX_NAMES {
            return Err(BoundsError::Count {
                file: file.to_owned(),
                list: "directories",
                found: self.directories.len(),
                most: MAX_NAMES,
            });
        }
        let mut seen = BTreeSet::new();
        for name in self.directories.iter().chain(&self.files) {
            let wrong = |why: String| BoundsError::Name {
                file: file.to_owned(),
                name: name.clone(),
                why,
            };
            if parse_path(name).map_err(&wrong)? != *name {
                return Err(wrong("expected a path without empty parts".to_owned()));
            }
            if !seen.insert(name) {
                return Err(wrong("expected each name once".to_owned()));
            }
            let parent = parent(name);
            if !parent.is_empty() && !self.directories.iter().any(|directory| directory == parent) {
                return Err(wrong(format!("expected `{parent}` among the directories")));
            }
        }
        Ok(())
    }
}

/// The directory that a name is in; the root is empty.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}
