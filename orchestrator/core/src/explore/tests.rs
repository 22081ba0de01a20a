use std::collections::{BTreeMap, BTreeSet};

use coldcut_wire::{Op, RenameMode};
use proptest::prelude::*;

use super::*;
use crate::filesystem::FsType;
use crate::scenario::Scenario;

fn text(workload: &Workload) -> String {
    workload.document(FsType::first()).unwrap().to_string()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Names and inodes, as a filesystem has them; nothing is taken over from what the workloads are made with.
#[derive(Default)]
struct Tree {
    /// Inodes by name: `d` a directory, `l` a symbolic link, otherwise a file's number.
    names: BTreeMap<String, String>,
    handles: BTreeSet<String>,
    made: usize,
}

impl Tree {
    fn free(&self, path: &str) {
        assert!(!self.names.contains_key(path), "{path} is there");
        if let Some((parent, _)) = path.rsplit_once('/') {
            assert_eq!(self.names.get(parent).map(String::as_str), Some("d"), "{path}");
        }
    }

    fn file(&self, path: &str) -> &str {
        if let Some(handle) = path.strip_prefix("fd:") {
            assert!(self.handles.contains(handle), "{path}");
            return "open";
        }
        let inode = self.names.get(path).unwrap_or_else(|| panic!("no {path}"));
        assert!(!["d", "l"].contains(&inode.as_str()), "{path} is no file");
        inode
    }

    fn inside(&self, path: &str) -> Vec<String> {
        let prefix = format!("{path}/");
        self.names
            .keys()
            .filter(|name| name.starts_with(&prefix))
            .cloned()
            .collect()
    }

    fn make(&mut self, path: &str) {
        self.made += 1;
        self.names.insert(path.to_owned(), self.made.to_string());
    }

    /// Takes a name and what is below it away.
    fn take(&mut self, path: &str) -> Vec<(String, String)> {
        let mut all = self.inside(path);
        all.push(path.to_owned());
        let take = |name: String| {
            let inode = self.names.remove(&name).unwrap_or_else(|| panic!("no {name}"));
            (name[path.len()..].to_owned(), inode)
        };
        all.into_iter().map(take).collect()
    }

    fn put(&mut self, path: &str, taken: Vec<(String, String)>) {
        let names = taken
            .into_iter()
            .map(|(below, inode)| (format!("{path}{below}"), inode));
        self.names.extend(names);
    }

    fn rename(&mut self, from: &str, to: &str, mode: RenameMode) {
        if mode == RenameMode::Exchange {
            let (one, other) = (self.take(from), self.take(to));
            self.put(to, one);
            self.put(from, other);
            return;
        }
        if let Some(other) = self.names.get(to) {
            assert_eq!(other == "d", self.names[from] == "d");
            assert!(other == "d" || *other != self.names[from], "the same file");
            assert_eq!(self.inside(to), Vec::<String>::new());
            self.names.remove(to);
        }
        self.free(to);
        let taken = self.take(from);
        self.put(to, taken);
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Mkdir(step) => {
                self.free(&step.path);
                self.names.insert(step.path.clone(), "d".into());
            }
            Op::Create(step) => {
                self.free(&step.path);
                self.make(&step.path);
            }
            Op::Write(step) if step.flags.create => {
                self.free(&step.path);
                self.make(&step.path);
            }
            Op::Write(step) => drop(self.file(&step.path).len()),
            Op::MmapStore(step) => drop(self.file(&step.path).len()),
            Op::Fallocate(step) => drop(self.file(&step.path).len()),
            Op::Truncate(step) => drop(self.file(&step.path).len()),
            Op::Fdatasync(step) => drop(self.file(&step.path).len()),
            Op::Removexattr(step) => drop(self.file(&step.path).len()),
            Op::Fsync(step) if step.directory => {
                assert!(step.path == "." || self.names[&step.path] == "d", "{}", step.path);
            }
            Op::Fsync(step) => drop(self.file(&step.path).len()),
            Op::Setxattr(step) => assert!(self.names.contains_key(&step.path)),
            Op::Chmod(step) => assert!(self.names.contains_key(&step.path)),
            Op::Open(step) => {
                assert!(step.read_only || self.names[&step.path] != "d");
                assert!(self.handles.insert(step.handle.clone()));
            }
            Op::Link(step) => {
                let inode = self.file(&step.from).to_owned();
                self.free(&step.to);
                self.names.insert(step.to.clone(), inode);
            }
            Op::Symlink(step) => {
                self.free(&step.path);
                self.names.insert(step.path.clone(), "l".into());
            }
            Op::Unlink(step) => {
                let inode = self
                    .names
                    .remove(&step.path)
                    .unwrap_or_else(|| panic!("no {}", step.path));
                assert_ne!(inode, "d");
            }
            Op::Rmdir(step) => {
                assert_eq!(self.inside(&step.path), Vec::<String>::new());
                assert_eq!(self.names.remove(&step.path).as_deref(), Some("d"));
            }
            Op::Rename(step) => self.rename(&step.from, &step.to, step.mode),
            Op::Sync => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Every step of it succeeds.
fn makes_sense(workload: &Workload) {
    let mut tree = Tree::default();
    for op in workload.setup.iter().chain(&workload.steps) {
        tree.run(op);
    }
}

#[test]
fn one_change_is_tried_in_every_way_and_once() {
    let bounds = Bounds::default();
    let all: Vec<Workload> = Workloads::new(&bounds, 1).collect();
    let ids: BTreeSet<String> = all.iter().map(Workload::id).collect();
    assert_eq!(ids.len(), all.len());
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    for workload in &all {
        makes_sense(workload);
        let text = text(workload);
        Scenario::parse("w", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        *by_kind.entry(workload.kinds[0].short()).or_default() += 1;
    }
    assert_eq!(by_kind.len(), Kind::ALL.len());
    insta::assert_debug_snapshot!((all.len(), by_kind));
}

fn small() -> Bounds {
    Bounds {
        files: names(&["foo", "bar", "A/foo", "B/foo"]),
        directories: names(&["A", "B"]),
        operations: vec![
            Kind::Create,
            Kind::Link,
            Kind::Unlink,
            Kind::Rename,
            Kind::Exchange,
            Kind::Mkdir,
            Kind::Rmdir,
            Kind::RmdirOpen,
        ],
        ..Bounds::default()
    }
}

/// The steps of a workload, where names were called otherwise; an exchange either way round.
fn called(workload: &Workload, swaps: &[(&str, &str)]) -> String {
    let name = |path: &str| {
        let (path, generation) = path
            .split_once('@')
            .map_or((path, None), |(path, g)| (path, Some(g)));
        let parts = path.split('/').enumerate().map(|(depth, part)| {
            // The file in each directory is alike to none.
            let swap = swaps
                .iter()
                .find(|(one, other)| depth == 0 && (part == *one || part == *other));
            swap.map_or(part, |(one, other)| if part == *one { other } else { one })
        });
        let path = parts.collect::<Vec<_>>().join("/");
        generation.map_or(path.clone(), |generation| format!("{path}@{generation}"))
    };
    let mut lines = Vec::new();
    for op in workload.setup.iter().chain(&workload.steps) {
        let line = crate::scenario::to_yaml::op(op).unwrap();
        let words: Vec<String> = line
            .split(' ')
            .map(|word| {
                let end = word.trim_end_matches([',', '}']);
                format!("{}{}", name(end), &word[end.len()..])
            })
            .collect();
        let mut line = words.join(" ");
        if line.contains("exchange") {
            let mut sorted = words;
            sorted.sort();
            line = sorted.join(" ");
        }
        lines.push(line);
    }
    // The setup makes names in their own order.
    let (setup, steps) = lines.split_at_mut(workload.setup.len());
    setup.sort();
    format!("{setup:?} {steps:?}")
}

#[test]
fn of_workloads_that_differ_in_alike_names_one_is_kept() {
    let bounds = small();
    let group: [&[(&str, &str)]; 4] = [
        &[],
        &[("foo", "bar")],
        &[("A", "B")],
        &[("foo", "bar"), ("A", "B")],
    ];
    for changes in 1..=2 {
        let least = |workload: &Workload| group.iter().map(|swaps| called(workload, swaps)).min().unwrap();
        let all: BTreeSet<String> = Workloads::with_alike(&bounds, changes)
            .map(|w| least(&w))
            .collect();
        let kept: Vec<String> = Workloads::new(&bounds, changes).map(|w| least(&w)).collect();
        let classes: BTreeSet<String> = kept.iter().cloned().collect();
        // Which name of an exchange comes first says nothing, so there may be two of a class.
        let exchanges = kept.iter().filter(|steps| steps.contains("exchange")).count();
        let of_classes = classes.iter().filter(|steps| steps.contains("exchange")).count();
        assert_eq!(
            kept.len() - exchanges,
            classes.len() - of_classes,
            "one of each class"
        );
        assert!(exchanges < of_classes * 3 / 2);
        let missing: Vec<&String> = all.difference(&classes).take(3).collect();
        assert_eq!(missing, Vec::<&String>::new());
        assert_eq!(all.len(), classes.len());
    }
}

/// What a step changes or syncs.
fn synced(op: &Op) -> bool {
    matches!(op, Op::Fsync(_) | Op::Fdatasync(_) | Op::Sync)
}

/// Whether it changes something, syncs, changes the same name again, and syncs that.
fn changes_after_a_sync(workload: &Workload) -> bool {
    let steps = &workload.steps;
    let path = |op: &Op| match op {
        Op::Write(step) => Some(step.path.clone()),
        Op::Truncate(step) => Some(step.path.clone()),
        Op::Fallocate(step) => Some(step.path.clone()),
        Op::Rename(step) => Some(step.to.clone()),
        Op::Link(step) => Some(step.to.clone()),
        Op::Create(step) => Some(step.path.clone()),
        Op::Unlink(step) => Some(step.path.clone()),
        Op::Setxattr(step) => Some(step.path.clone()),
        _ => None,
    };
    let Some(first_sync) = steps.iter().position(synced) else {
        return false;
    };
    let before: Vec<String> = steps[..first_sync].iter().filter_map(path).collect();
    let later = steps[first_sync..]
        .iter()
        .filter_map(path)
        .any(|name| before.contains(&name));
    later && steps.last().is_some_and(synced)
}

/// Whether a name moves from one directory into another, one of which, or the file, is synced later.
fn moves_and_syncs_one(workload: &Workload) -> bool {
    let parent = |path: &str| path.rsplit_once('/').map_or(".", |(parent, _)| parent).to_owned();
    workload.steps.iter().enumerate().any(|(at, op)| {
        let Op::Rename(rename) = op else { return false };
        let (from, to) = (parent(&rename.from), parent(&rename.to));
        from != to
            && workload.steps[at..].iter().any(|later| match later {
                Op::Fsync(step) => [&from, &to, &rename.to].contains(&&step.path),
                _ => false,
            })
    })
}

/// Steps, those of the durable setup included.
fn length(workload: &Workload) -> usize {
    workload.setup.len() + workload.steps.len()
}

#[test]
fn two_changes_reach_the_histories_that_matter() {
    let bounds = Bounds {
        files: names(&["foo", "A/foo", "B/foo"]),
        persist: vec![Point::None, Point::Fsync, Point::FsyncDir, Point::Sync],
        ..Bounds::default()
    };
    let (mut all, mut after_sync, mut moved, mut long) = (0, 0, 0, [0, 0]);
    let mut pairs = BTreeSet::new();
    for workload in Workloads::new(&bounds, 2) {
        all += 1;
        let [one, two] = [changes_after_a_sync(&workload), moves_and_syncs_one(&workload)];
        after_sync += usize::from(one);
        moved += usize::from(two);
        if (6..=8).contains(&length(&workload)) {
            long[0] += usize::from(one);
            long[1] += usize::from(two);
        }
        pairs.insert((workload.kinds[0], workload.kinds[1]));
        if all % 97 == 0 {
            makes_sense(&workload);
        }
    }
    assert_eq!(
        pairs.len(),
        Kind::ALL.len() * Kind::ALL.len(),
        "every pair of operations"
    );
    insta::assert_debug_snapshot!((all, after_sync, moved, long));
}

#[test]
fn three_changes_reach_them_in_six_to_eight_steps() {
    let bounds = Bounds {
        files: names(&["foo", "A/foo", "B/foo"]),
        directories: names(&["A", "B"]),
        operations: vec![Kind::Unlink, Kind::Setxattr, Kind::Rename],
        persist: vec![Point::None, Point::Fsync, Point::FsyncDir, Point::Sync],
    };
    let (mut all, mut both) = (0, 0);
    // Each: which of the three changes moves a name between directories, and whether the file, the old directory or the new
    // one is synced at the end.
    let mut reached = BTreeSet::new();
    for workload in Workloads::new(&bounds, 3) {
        all += 1;
        if all % 997 == 0 {
            makes_sense(&workload);
        }
        if changes_after_a_sync(&workload)
            && moves_and_syncs_one(&workload)
            && (6..=8).contains(&length(&workload))
        {
            both += 1;
            let renames = workload.kinds.iter().position(|kind| *kind == Kind::Rename);
            let last = workload.steps.last().map(|op| match op {
                Op::Sync => "all",
                Op::Fsync(step) if step.directory => "directory",
                _ => "file",
            });
            reached.insert((renames, last));
        }
    }
    // All but a move that is last, of which sync(2) syncs more than one directory.
    assert_eq!(reached.len(), 8, "{reached:?}");
    insta::assert_debug_snapshot!((all, both));
}

proptest! {
    #[test]
    fn what_is_drawn_makes_sense_and_is_the_same_for_a_seed(seed: u64, changes in 1usize..6) {
        let bounds = Bounds::default();
        let drawn = sample(&bounds, changes, 3, seed);
        prop_assert_eq!(drawn.len(), 3);
        for workload in &drawn {
            makes_sense(workload);
            let text = text(workload);
            let scenario = Scenario::parse("w", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
            prop_assert_eq!(scenario.name, workload.id());
        }
        prop_assert_eq!(drawn, sample(&bounds, changes, 3, seed));
    }
}

#[test]
fn bounds_are_read_and_checked() {
    let read = |text: &str| Bounds::parse("b.yaml", text).map_err(|error| error.to_string());
    let bounds = read("files: [a, d/b]\ndirectories: [d]\noperations: [rename]\n").unwrap();
    assert_eq!(bounds.operations, [Kind::Rename]);
    assert_eq!(bounds.persist, Point::ALL);
    assert_eq!(read("{}").unwrap(), Bounds::default());
    let wrong = [
        ("files: []", "`files` has 0 entries; expected 1 to 16"),
        ("files: [a, a]", "`a`: expected each name once"),
        ("files: [x/a]", "expected `x` among the directories"),
        ("files: [../a]", "cannot contain `..`"),
        ("operations: [format]", "b.yaml: "),
        ("names: [a]", "b.yaml: "),
    ];
    for (text, expected) in wrong {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(
        read("files: [a]\noperations: [format]")
            .unwrap_err()
            .contains("line 2")
    );
}
