//! The names that a workload defines, and the paths that they stand for.

use std::collections::BTreeMap;

use super::JlangError;
use super::lines::Line;
use crate::scenario::parse_path;

/// The name of the mounted root.
const ROOT: &str = "test";
/// Names at most.
const MAX_NAMES: usize = 1000;

/// Names and their paths; the root's path is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// Learns the path of a line of `# define`.
    pub(super) fn define(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        line.ends_after(1)?;
        let path = parse_path(line.key()).map_err(|why| JlangError::new(line.number, "a path", why))?;
        let name: String = path.split('/').collect();
        let path = if name == ROOT { String::new() } else { path };
        if self.0.len() == MAX_NAMES {
            return Err(JlangError::new(
                line.number,
                format!("at most {MAX_NAMES} paths"),
                "more",
            ));
        }
        match self.0.insert(name.clone(), path.clone()) {
            Some(other) if other != path => Err(JlangError::new(
                line.number,
                format!("a path other than `{other}` to have another name"),
                format!("`{path}`, which is `{name}` too"),
            )),
            _ => Ok(()),
        }
    }

    /// The path that the word at `at` stands for.
    pub(super) fn path(&self, line: &Line<'_>, at: usize) -> Result<String, JlangError> {
        let word = line.word(at, "a name of `# define`")?;
        // Some tools write the path itself.
        let name: String = word.split('/').collect();
        self.0.get(&name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).take(20).collect();
            JlangError::new(
                line.number,
                format!("a name of `# define` ({})", known.join(", ")),
                format!("`{word}`"),
            )
        })
    }
}
