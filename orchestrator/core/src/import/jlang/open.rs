//! Descriptors that are open, and the names that their files have by now.

use std::collections::BTreeMap;

use super::JlangError;
use super::lines::Line;

/// A descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    /// The handle in the scenario; `None` for a directory, which is synced by its name.
    pub(super) handle: Option<String>,
    /// A name of its file; `None` once it was removed or replaced.
    pub(super) path: Option<String>,
}

/// Descriptors by the names that they were opened with.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    open: BTreeMap<String, Descriptor>,
    handles: usize,
}

impl Open {
    /// Opens a file; gives the handle's name, which is new.
    pub(super) fn file(&mut self, name: &str, path: &str) -> String {
        self.handles += 1;
        let handle = format!("h{}", self.handles);
        let descriptor = Descriptor {
            handle: Some(handle.clone()),
            path: Some(path.to_owned()),
        };
        // Opened again, the name means the new descriptor; the old one stays open, unused.
        self.open.insert(name.to_owned(), descriptor);
        handle
    }

    /// Opens a directory.
    pub(super) fn directory(&mut self, name: &str, path: &str) {
        let descriptor = Descriptor {
            handle: None,
            path: Some(path.to_owned()),
        };
        self.open.insert(name.to_owned(), descriptor);
    }

    /// What the word at 1 was opened as.
    pub(super) fn of(&self, line: &Line<'_>) -> Result<&Descriptor, JlangError> {
        let word = line.word(1, "a name that is open")?;
        let missing = || JlangError::new(line.number, format!("`open {word}` before"), "none");
        self.open.get(word).ok_or_else(missing)
    }

    /// The handle of a file that is open.
    pub(super) fn handle(&self, line: &Line<'_>) -> Result<String, JlangError> {
        let handle = &self.of(line)?.handle;
        handle
            .as_ref()
            .map(|handle| format!("fd:{handle}"))
            .ok_or_else(|| {
                let found = format!("`{}`, which `opendir` opened", line.words[1]);
                JlangError::new(line.number, "a file that is open", found)
            })
    }

    /// Forgets a descriptor, which is closed.
    pub(super) fn close(&mut self, line: &Line<'_>) -> Result<Descriptor, JlangError> {
        let descriptor = self.of(line)?.clone();
        self.open.remove(line.words[1]);
        Ok(descriptor)
    }

    /// Follows a rename; what had the new name has none any more.
    pub(super) fn renamed(&mut self, from: &str, to: &str) {
        self.removed(to);
        for descriptor in self.open.values_mut() {
            let Some(path) = &descriptor.path else { continue };
            if path == from {
                descriptor.path = Some(to.to_owned());
            } else if let Some(below) = path.strip_prefix(from).filter(|below| below.starts_with('/')) {
                descriptor.path = Some(format!("{to}{below}"));
            }
        }
    }

    /// Follows a name's removal.
    pub(super) fn removed(&mut self, path: &str) {
        for descriptor in self.open.values_mut() {
            if descriptor.path.as_deref() == Some(path) {
                descriptor.path = None;
            }
        }
    }
}
