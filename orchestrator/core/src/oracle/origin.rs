//! Whose data a file may hold: identities of contents, and which names the steps connect.

use std::collections::{BTreeSet, HashMap};

use coldcut_wire::{Op, PatternName, op, pattern};

use crate::scenario::{Action, Variant, flatten};

/// The contents and names of one variant.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    contents: HashMap<u64, PatternName>,
    /// Contents by identity, numbered in the order of their first writing.
    order: HashMap<u64, usize>,
    /// Contents' files whose last name a step unlinks, with that name.
    deleted: HashMap<String, String>,
    /// Pairs of paths that a rename or a link connects.
    connected: Vec<(String, String)>,
    /// Contents' files by the path that they were written to.
    written: HashMap<String, BTreeSet<String>>,
    /// Whether a step moves data within a file.
    pub(crate) shifts: bool,
}

/// Most names of one file that are followed.
const MAX_NAMES: usize = 4096;

impl Origins {
    pub(crate) fn new(variant: &Variant) -> Self {
        let contents = variant
            .contents()
            .into_iter()
            .map(|c| (pattern::pattern_id(&c), c))
            .collect();
        let order = variant
            .contents()
            .iter()
            .enumerate()
            .map(|(place, c)| (pattern::pattern_id(c), place))
            .collect();
        let mut origins = Self {
            contents,
            order,
            deleted: HashMap::new(),
            connected: Vec::new(),
            written: HashMap::new(),
            shifts: false,
        };
        for steps in [&variant.setup, &variant.workload] {
            let mut handles: HashMap<&str, &str> = HashMap::new();
            for step in flatten(steps) {
                let Action::Op(op) = &step.action else { continue };
                match op {
                    Op::Open(op::Open { path, handle, .. }) => {
                        handles.insert(handle, path);
                    }
                    Op::Write(op::Write {
                        path,
                        pattern: content,
                        ..
                    })
                    | Op::MmapStore(op::MmapStore {
                        path,
                        pattern: content,
                        ..
                    })
                    | Op::Burst(op::Burst {
                        path,
                        pattern: content,
                        ..
                    }) => {
                        let handle = path.strip_prefix("fd:").and_then(|h| handles.get(h).copied());
                        let file = handle.unwrap_or(path).to_owned();
                        origins
                            .written
                            .entry(file)
                            .or_default()
                            .insert(content.file.clone());
                    }
                    Op::Rename(op::Rename { from, to, .. }) | Op::Link(op::Link { from, to }) => {
                        origins.connected.push((from.clone(), to.clone()));
                    }
                    Op::Unlink(op::Unlink { path }) => {
                        let files = origins.written.get(path).into_iter().flatten().cloned();
                        let gone: Vec<String> = files.collect();
                        origins
                            .deleted
                            .extend(gone.into_iter().map(|f| (f, path.clone())));
                    }
                    Op::Fallocate(op::Fallocate { mode, .. }) => {
                        use coldcut_wire::FallocateMode::{CollapseRange, InsertRange};
                        origins.shifts |= matches!(mode, CollapseRange | InsertRange);
                    }
                    _ => {}
                }
            }
        }
        origins
    }

    /// The content with this identity, if this variant writes it.
    pub(crate) fn content(&self, id: u64) -> Option<&PatternName> {
        self.contents.get(&id)
    }

    /// Whether a content was first written before another one.
    pub(crate) fn older(&self, id: u64, than: u64) -> bool {
        matches!((self.order.get(&id), self.order.get(&than)), (Some(a), Some(b)) if a < b)
    }

    /// The name under which a content's file was deleted, if a step does that.
    pub(crate) fn deleted(&self, content: &PatternName) -> Option<&str> {
        self.deleted.get(&content.file).map(String::as_str)
    }

    /// Every content and its identity.
    pub(crate) fn contents(&self) -> impl Iterator<Item = (u64, &PatternName)> {
        self.contents.iter().map(|(id, name)| (*id, name))
    }

    /// Every content of these files.
    pub(crate) fn contents_of<'a>(
        &'a self,
        files: &'a BTreeSet<String>,
    ) -> impl Iterator<Item = &'a PatternName> {
        self.contents.values().filter(|c| files.contains(&c.file))
    }

    /// The contents' files that are a path's own: named after it or written to it, under any of the names that
    /// renames and links (of it or of a directory above it) connect with it.
    pub(crate) fn own(&self, path: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::from([path.to_owned()]);
        let mut queue = vec![path.to_owned()];
        while let Some(name) = queue.pop() {
            let pairs = self.connected.iter().flat_map(|(a, b)| [(a, b), (b, a)]);
            for other in pairs.filter_map(|(a, b)| moved(&name, a, b)) {
                if names.len() < MAX_NAMES && names.insert(other.clone()) {
                    queue.push(other);
                }
            }
        }
        let written = names
            .iter()
            .filter_map(|n| self.written.get(n))
            .flatten()
            .cloned()
            .collect::<Vec<_>>();
        names.extend(written);
        names
    }
}

/// `name` with `from` at its beginning replaced by `to`.
fn moved(name: &str, from: &str, to: &str) -> Option<String> {
    let rest = name.strip_prefix(from)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
}
