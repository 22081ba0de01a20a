//! Whose data a file may hold: identities of contents, and which names the steps connect.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use coldcut_wire::{Op, PatternName, pattern};

use crate::scenario::facts::{self, Data, Handles, Moves, Names};
use crate::scenario::{Variant, flatten};

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
    /// Data that steps move from one place to another.
    moves: Vec<Move>,
    /// Contents' files by the place that they were written to: a path, or `fd:NAME` of a pipe or a pair of sockets.
    written: HashMap<String, BTreeSet<String>>,
    /// Whether a step moves data within a file.
    pub(crate) shifts: bool,
}

/// Data moved between two places.
#[derive(Clone, Debug)]
struct Move {
    from: String,
    to: String,
    /// It may be at other offsets than it was.
    displaced: bool,
}

/// What a file may rightly hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// The contents' files.
    pub(crate) files: BTreeSet<String>,
    /// Some of it may be at other offsets than its own.
    pub(crate) displaced: bool,
}

/// The most names of one file that are followed.
const MAX_NAMES: usize = 4096;

/// What a handle begins with.
const HANDLE: &str = "fd:";

impl Origins {
    pub(crate) fn new(variant: &Variant) -> Self {
        let contents = variant
            .patterns()
            .into_iter()
            .map(|c| (pattern::pattern_id(&c), c))
            .collect();
        let order = variant
            .patterns()
            .iter()
            .enumerate()
            .map(|(index, c)| (pattern::pattern_id(c), index))
            .collect();
        let mut origins = Self {
            contents,
            order,
            deleted: HashMap::new(),
            connected: Vec::new(),
            moves: Vec::new(),
            written: HashMap::new(),
            shifts: false,
        };
        for steps in [&variant.setup, &variant.workload] {
            let mut handles = BTreeMap::new();
            for step in flatten(steps) {
                if let Some(op) = step.op() {
                    origins.take(op, &mut handles);
                }
            }
        }
        origins
    }

    /// What one operation does with data and names. `handles`: files by the handles that were opened on them.
    fn take<'a>(&mut self, op: &'a Op, handles: &mut BTreeMap<&'a str, &'a str>) {
        match facts::handles(op) {
            Handles::Untouched => {}
            Handles::Opens(opened) => {
                handles.insert(opened.handle, opened.path);
            }
            Handles::Closes(handle) => {
                handles.remove(handle);
            }
        }
        self.take_data(op, handles);
        match facts::names(op) {
            Names::Untouched | Names::Makes(_) => {}
            Names::Links { from, to } | Names::Renames { from, to } => {
                self.connected.push((from.to_owned(), to.to_owned()));
            }
            Names::Removes(path) => {
                let files = self.written.get(path).into_iter().flatten().cloned();
                let gone: Vec<String> = files.collect();
                self.deleted
                    .extend(gone.into_iter().map(|f| (f, path.to_owned())));
            }
        }
    }

    fn take_data(&mut self, op: &Op, handles: &BTreeMap<&str, &str>) {
        match facts::data(op) {
            Data::Untouched | Data::Reads(_) => {}
            Data::Shifts => self.shifts = true,
            Data::Writes(written) => {
                self.written
                    .entry(place(written.path, handles))
                    .or_default()
                    .insert(written.pattern.file.clone());
            }
            Data::Moves(moved) => self.take_moved(moved, handles),
        }
    }

    fn take_moved(&mut self, moved: Moves<'_>, handles: &BTreeMap<&str, &str>) {
        let (from, to) = (place(moved.from, handles), place(moved.to, handles));
        // A file opened by its path is written from its beginning; a handle has a position, a pipe no offsets.
        let displaced = moved.offset != 0 || moved.to.starts_with(HANDLE) || from.starts_with(HANDLE);
        let mut stations = vec![from];
        stations.extend(moved.through.map(|pipe| format!("{HANDLE}{pipe}")));
        stations.push(to);
        self.moves.extend(stations.windows(2).map(|pair| Move {
            from: pair[0].clone(),
            to: pair[1].clone(),
            displaced,
        }));
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
        self.follow(path, false).files
    }

    /// What a path may rightly hold: its own, and what the steps move to it from elsewhere.
    pub(crate) fn held(&self, path: &str) -> Held {
        self.follow(path, true)
    }

    /// Names connected with `path` and, where `moved`, those that data came from.
    fn follow(&self, path: &str, moved: bool) -> Held {
        let mut held = Held::default();
        held.files.insert(path.to_owned());
        let mut queue = vec![path.to_owned()];
        while let Some(name) = queue.pop() {
            let pairs = self.connected.iter().flat_map(|(a, b)| [(a, b), (b, a)]);
            let mut next: Vec<String> = pairs.filter_map(|(a, b)| renamed(&name, a, b)).collect();
            for step in self.moves.iter().filter(|step| moved && step.to == name) {
                held.displaced |= step.displaced;
                next.push(step.from.clone());
            }
            for other in next {
                if held.files.len() < MAX_NAMES && held.files.insert(other.clone()) {
                    queue.push(other);
                }
            }
        }
        let written = held
            .files
            .iter()
            .filter_map(|n| self.written.get(n))
            .flatten()
            .cloned()
            .collect::<Vec<_>>();
        held.files.extend(written);
        held
    }
}

/// Where data of `path` is: the file of a handle; both ends of a pipe, and both of a pair of sockets, are one place.
fn place(path: &str, handles: &BTreeMap<&str, &str>) -> String {
    let Some(handle) = path.strip_prefix(HANDLE) else {
        return path.to_owned();
    };
    if let Some(file) = handles.get(handle) {
        return (*file).to_owned();
    }
    let ends = [".r", ".w", ".a", ".b"];
    let both = ends.iter().find_map(|end| handle.strip_suffix(end));
    format!("{HANDLE}{}", both.unwrap_or(handle))
}

/// `name` with `from` at its beginning replaced by `to`.
fn renamed(name: &str, from: &str, to: &str) -> Option<String> {
    let rest = name.strip_prefix(from)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
}
