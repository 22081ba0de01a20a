//! The automatic oracle on random histories: a filesystem that makes everything durable at each sync, in order, breaks none
//! of its rules at any cut, whatever else it wrote; and one that loses what was synced does.

use std::collections::BTreeMap;

use coldcut_core::generate::generate;
use coldcut_core::model::{Data, InodeId, Model, Named, Piece, Xattr};
use coldcut_core::oracle::{History, Judge};
use coldcut_core::outcome::recovery::{Fsck, Recovery};
use coldcut_core::outcome::verdict::Judgement;
use coldcut_core::recording::mark::Mark;
use coldcut_core::scenario::{Scenario, Variant};
use coldcut_wire::splitmix::SplitMix;
use coldcut_wire::{EntryKind, Extent, Op, Source, TreeEntry};

use crate::trees::{entry, recovery};

const STEPS: usize = 30;

/// A random history, judged automatically and by nothing else.
fn variant(seed: u64, filesystem: &str) -> Variant {
    let text = generate(seed, STEPS);
    let (before, _) = text.split_once("\nexpect:\n").expect("it expects something");
    let (head, steps) = before.split_once("\nfilesystem:\n").expect("a filesystem");
    let (_, steps) = steps.split_once("\n\nsetup:\n").expect("a setup");
    let text =
        format!("{head}\nfilesystem: {{{filesystem}, size: 512MiB}}\n\nsetup:\n{steps}\nexpect:\n  - auto\n");
    let scenario = Scenario::parse("random.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
    scenario.variants()[0].clone()
}

/// The marks of a workload whose steps ended well one after the other, and which of them acknowledges a sync.
fn marks(variant: &Variant) -> (Vec<Mark>, Vec<bool>) {
    let (mut marks, mut syncs) = (Vec::new(), Vec::new());
    for step in variant.steps() {
        marks.extend([Mark::Begin(step.name.clone()), Mark::Done(step.name.clone())]);
        let op = step.op();
        // Writes with a flag and mapped stores sync a file as well.
        let sync = op.is_some_and(|op| match op {
            Op::Write(write) => write.flags.sync || write.flags.dsync,
            Op::MmapStore(_) | Op::Fsync(_) | Op::Fdatasync(_) | Op::Sync | Op::Syncfs => true,
            _ => false,
        });
        syncs.extend([false, sync]);
    }
    (marks, syncs)
}

/// The tree of everything that was done until `at` marks.
fn tree(model: &Model, at: u32) -> Vec<TreeEntry> {
    let mut entries: Vec<TreeEntry> = Vec::new();
    let mut names: BTreeMap<u64, u32> = BTreeMap::new();
    let mut queue = vec![(String::new(), Model::ROOT)];
    while let Some((path, id)) = queue.pop() {
        let found = seen(model, id, &path, at);
        *names.entry(found.ino).or_default() += 1;
        entries.push(found);
        let mut below = 0;
        for (name, versions) in &model.inode(id).entries {
            let Some(Named::Inode(child)) = versions.window(at, |_| true).map(|window| *window.newest())
            else {
                continue;
            };
            below += u32::from(model.inode(child).kind == EntryKind::Directory);
            queue.push((coldcut_core::model::join(&path, name), child));
        }
        let last = entries.last_mut().expect("just put there");
        last.nlink = 2 + below;
    }
    for entry in entries
        .iter_mut()
        .filter(|entry| entry.kind != EntryKind::Directory)
    {
        entry.nlink = names[&entry.ino];
    }
    entries
}

/// One inode as it was at a time.
fn seen(model: &Model, id: InodeId, path: &str, at: u32) -> TreeEntry {
    let inode = model.inode(id);
    let mut found = entry(path, inode.kind);
    found.ino = 11 + id.0 as u64;
    if let Some(Some(mode)) = inode.mode.window(at, |_| true).map(|window| *window.newest()) {
        found.mode = mode;
    }
    for (name, versions) in &inode.xattrs {
        if let Some(Xattr::Value(value)) = versions
            .window(at, |_| true)
            .map(|window| window.newest().clone())
        {
            found.xattrs.push((name.clone(), value));
        }
    }
    let data = inode
        .data
        .window(at, |_| true)
        .map(|window| window.newest().clone());
    if let (EntryKind::File, Some(Data::Known(runs))) = (inode.kind, data) {
        found.size = runs.len();
        found.extents = runs
            .iter()
            .map(|(range, piece)| {
                let source = match piece {
                    Piece::Zeros => Source::Zeros,
                    Piece::Pattern { id, shift } => Source::Content {
                        id,
                        at: range.start.wrapping_add(shift),
                        label: String::new(),
                    },
                };
                Extent {
                    offset: range.start,
                    len: range.end - range.start,
                    source,
                }
            })
            .collect();
    }
    found
}

fn recovered(entries: Vec<TreeEntry>) -> Recovery {
    let mut recovery = recovery(Vec::new());
    recovery.tree = entries;
    recovery.fsck = Some(Fsck {
        command: "checker".to_owned(),
        code: 0,
        clean: true,
        output: String::new(),
    });
    recovery
}

fn judged(variant: &Variant, marks: &[Mark], tree: Vec<TreeEntry>) -> Judgement {
    Judge::new(variant).judge(&History::from_marks(marks), &recovered(tree))
}

const FILESYSTEMS: [&str; 4] = [
    "type: ext4",
    "type: ext4, mkfs: [-O, ^has_journal]",
    "type: xfs",
    "type: btrfs",
];

#[test]
fn a_filesystem_that_keeps_its_order_breaks_nothing() {
    let mut judgements = 0;
    for seed in 0..24 {
        let variant = variant(seed, FILESYSTEMS[seed as usize % FILESYSTEMS.len()]);
        let (marks, syncs) = marks(&variant);
        let model = Model::of(&variant, &marks);
        assert_eq!(model.lost(), None);
        let mut synced = 0;
        for until in 0..=marks.len() {
            if until > 0 && syncs[until - 1] {
                synced = until;
            }
            for at in synced..=until {
                let judgement = judged(&variant, &marks[..until], tree(&model, at as u32));
                assert_eq!(
                    judgement.findings,
                    [],
                    "seed {seed}, cut after {until}, tree of {at}"
                );
                assert_eq!(judgement.doubts, [""; 0]);
                judgements += 1;
            }
        }
    }
    assert!(judgements > 5000, "{judgements}");
}

#[test]
fn one_that_loses_what_was_synced_is_caught() {
    let mut planted = 0;
    for seed in 100..130 {
        let variant = variant(seed, FILESYSTEMS[seed as usize % FILESYSTEMS.len()]);
        let (marks, _) = marks(&variant);
        let model = Model::of(&variant, &marks);
        let end = marks.len() as u32;
        let whole = tree(&model, end);
        assert_eq!(judged(&variant, &marks, whole.clone()).findings, []);
        let mut dice = SplitMix::new(seed);
        // All is synced at the end of these histories: every name, size and byte must be there.
        let files: Vec<usize> = (0..whole.len())
            .filter(|index| whole[*index].kind == EntryKind::File && whole[*index].size > 0)
            .collect();
        for what in 0..5 {
            let at = files[dice.below(files.len() as u64) as usize];
            let mut tree = whole.clone();
            let ino = tree[at].ino;
            match what {
                0 => drop(tree.remove(at)),
                1 => tree.iter_mut().filter(|e| e.ino == ino).for_each(cut_short),
                2 => tree.iter_mut().filter(|e| e.ino == ino).for_each(replace),
                3 => tree
                    .iter_mut()
                    .filter(|e| e.ino == ino)
                    .for_each(|e| e.mode ^= 0o100),
                _ => {
                    let twin = TreeEntry {
                        path: b"twin".to_vec(),
                        ..tree[at].clone()
                    };
                    tree.push(twin);
                }
            }
            let judgement = judged(&variant, &marks, tree);
            // Without a journal, names that nobody made are not judged; that link counts are right is.
            assert!(
                !judgement.findings.is_empty(),
                "seed {seed}, planted {what} in {}",
                whole[at].path.escape_ascii()
            );
            planted += 1;
        }
    }
    assert_eq!(planted, 150);
}

/// The file is a byte shorter.
fn cut_short(entry: &mut TreeEntry) {
    entry.size -= 1;
    if let Some(last) = entry.extents.last_mut() {
        last.len -= 1;
    }
    entry.extents.retain(|extent| extent.len > 0);
}

/// The file's first run is garbage.
fn replace(entry: &mut TreeEntry) {
    entry.extents[0].source = Source::Garbage;
}
