//! What a history has made durable: the model that expectations are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Runs of bytes that are looked at in a file at most; the first ones.
const RUNS: usize = 12;

/// A file, whatever its names.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// Under which name its data is written.
    pub(super) content: String,
    /// The generation of each byte; 0 for zeros.
    pub(super) data: Vec<u8>,
    /// The last generation that was written.
    pub(super) generation: u8,
    /// Whether it stays so small that its inode may hold it.
    pub(super) tiny: bool,
    /// Whether what it is was synced.
    pub(super) synced: bool,
}

impl File {
    /// Begins a new generation of its data, at these bytes.
    pub(super) fn put(&mut self, at: usize, len: usize) {
        self.generation += 1;
        if self.data.len() < at + len {
            self.data.resize(at + len, 0);
        }
        self.data[at..at + len].fill(self.generation);
    }

    fn runs(&self) -> impl Iterator<Item = (usize, usize, u8)> {
        let mut at = 0;
        self.data.chunk_by(|a, b| a == b).map(move |run| {
            at += run.len();
            (at - run.len(), run.len(), run[0])
        })
    }
}

/// What must hold from the end of one step to the beginning of another.
#[derive(Clone, Debug)]
struct Promise {
    what: String,
    after: Option<usize>,
    before: Option<usize>,
}

/// Files, their names, and what is durable of both.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) files: Vec<File>,
    /// What each name names; `None` for one that was removed.
    pub(super) names: BTreeMap<String, Option<usize>>,
    /// Names whose directory was synced since they changed.
    durable: BTreeSet<String>,
    promises: Vec<Promise>,
    /// Promises about a name that still hold.
    open: BTreeMap<String, Vec<usize>>,
}

impl Model {
    /// Names of files.
    pub(super) fn present(&self) -> Vec<&str> {
        let present = self.names.iter().filter(|(_, file)| file.is_some());
        present.map(|(name, _)| name.as_str()).collect()
    }

    /// Every name of a file.
    pub(super) fn names_of(&self, file: usize) -> Vec<String> {
        let names = self.names.iter().filter(|(_, named)| **named == Some(file));
        names.map(|(name, _)| name.clone()).collect()
    }

    /// Step `next` is about to change the file.
    pub(super) fn touch(&mut self, file: usize, next: usize) {
        for name in self.names_of(file) {
            self.close(&name, next);
        }
        self.files[file].synced = false;
    }

    /// Step `next` is about to let the name name something else.
    pub(super) fn rename(&mut self, name: &str, to: Option<usize>, next: usize) {
        self.close(name, next);
        self.durable.remove(name);
        self.names.insert(name.to_owned(), to);
    }

    /// The file was synced by this step.
    pub(super) fn sync_file(&mut self, file: usize, step: usize) {
        self.files[file].synced = true;
        self.promise(Some(step));
    }

    /// The names of a directory were synced by this step.
    pub(super) fn sync_names(&mut self, directory: &str, step: usize) {
        let here = |name: &&String| name.rsplit_once('/').map_or("", |(dir, _)| dir) == directory;
        let names: Vec<String> = self.names.keys().filter(here).cloned().collect();
        self.durable.extend(names);
        self.promise(Some(step));
    }

    /// Everything was synced, by this step or before the first.
    pub(super) fn sync_all(&mut self, step: Option<usize>) {
        for file in &mut self.files {
            file.synced = true;
        }
        self.durable = self.names.keys().cloned().collect();
        self.promise(step);
    }

    fn close(&mut self, name: &str, next: usize) {
        for at in self.open.remove(name).unwrap_or_default() {
            self.promises[at].before = Some(next);
        }
    }

    /// Promises what is durable and not yet promised.
    fn promise(&mut self, after: Option<usize>) {
        for name in &self.durable {
            if self.open.contains_key(name) {
                continue;
            }
            let whats = match self.names.get(name).copied().flatten() {
                None => vec![format!("absent: {name}")],
                Some(file) if self.files[file].synced => promised(name, &self.files[file]),
                Some(_) => continue,
            };
            let first = self.promises.len();
            let before = None;
            self.promises
                .extend(whats.into_iter().map(|what| Promise { what, after, before }));
            self.open
                .insert(name.clone(), (first..self.promises.len()).collect());
        }
    }

    /// Writes the promises as expectations.
    pub(super) fn write(&self, yaml: &mut String) {
        for promise in &self.promises {
            let _ = writeln!(yaml, "  - {}", promise.what);
            if let Some(step) = promise.after {
                let _ = writeln!(yaml, "    after: s{step}");
            }
            if let Some(step) = promise.before {
                let _ = writeln!(yaml, "    before: s{step}");
            }
        }
    }
}

/// What is to be expected of a file under a name.
fn promised(name: &str, file: &File) -> Vec<String> {
    let mut whats = vec![format!("size: {{path: {name}, is: {}}}", file.data.len())];
    whats.extend(file.runs().take(RUNS).map(|(at, len, generation)| {
        let is = match generation {
            0 => "zeros".to_owned(),
            generation => format!("{}@{generation}", file.content),
        };
        format!("content: {{path: {name}, is: {is}, offset: {at}, len: {len}}}")
    }));
    whats
}
