//! The automatic oracle on recovered trees: nothing is said of healthy ones, and what is planted is caught.

use std::fmt::Write as _;

use coldcut_core::oracle::{History, Judge};
use coldcut_core::outcome::recovery::{Fsck, Recovery};
use coldcut_core::outcome::verdict::Judgement;
use coldcut_core::recording::mark::Mark;
use coldcut_core::scenario::{Scenario, Variant};
use coldcut_wire::{EntryKind, Source, TreeEntry};

use crate::trees::{at, content, directory, entry, file, recovery, unreadable, whole, zeros};

/// A history after which nearly everything was synced.
const HISTORY: &str = "
setup:
  - mkdir: d
  - write: {path: a, len: 8KiB, content: a@1}
  - link: {from: a, to: d/hard}
  - write: {path: d/b, len: 4KiB, content: b@1}
  - write: {path: gone, len: 4KiB, content: gone@1}
  - symlink: {path: s, target: d/b}
  - setxattr: {path: a, name: user.tag, value: one}
workload:
  - write: {path: a, offset: 4KiB, len: 4KiB, content: a@2}
  - setxattr: {path: a, name: user.tag, value: two}
  - chmod: {path: a, mode: 0600}
  - fsync: a
  - write: {path: d/new, len: 5000, content: new@1}
  - fsync: d/new
  - unlink: gone
  - fsync_dir: /
  - rename: {from: d/b, to: c}
  - write: {path: late, len: 4KiB, content: late@1}
";

fn variant(filesystem: &str) -> Variant {
    let text = format!(
        "format: 1\nname: auto\nfilesystem: {{{filesystem}, size: 512MiB}}\n{HISTORY}expect:\n  - auto\n"
    );
    let scenario = Scenario::parse("auto.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
    scenario.variants()[0].clone()
}

/// All marks of a variant whose steps all ended well.
fn history(variant: &Variant) -> History {
    let marks = variant.steps();
    let marks = marks.flat_map(|step| [Mark::Begin(step.name.clone()), Mark::Done(step.name.clone())]);
    History::from_marks(&marks.collect::<Vec<_>>())
}

fn inode(ino: u64, nlink: u32, entry: TreeEntry) -> TreeEntry {
    TreeEntry { ino, nlink, ..entry }
}

/// What a healthy kernel leaves of the history: everything synced, nothing of the rest.
fn healthy() -> Recovery {
    let a = |path| {
        let extents = vec![content("a@1", 0, 4096), content("a@2", 4096, 4096)];
        TreeEntry {
            mode: 0o600,
            xattrs: vec![("user.tag".to_owned(), b"two".to_vec())],
            ..inode(12, 2, file(path, extents))
        }
    };
    let link = TreeEntry {
        target: Some(b"d/b".to_vec()),
        mode: 0o777,
        ..inode(15, 1, entry("s", EntryKind::Symlink))
    };
    let made = TreeEntry {
        mode: 0o777,
        ..inode(11, 2, directory("d"))
    };
    let mut recovery = recovery(vec![
        a("a"),
        made,
        inode(13, 1, file("d/b", whole("b@1", 4096))),
        a("d/hard"),
        inode(14, 1, file("d/new", whole("new@1", 5000))),
        link,
    ]);
    recovery.tree[0].nlink = 3;
    recovery.tree[2].mode = 0o755;
    recovery.fsck = Some(Fsck {
        command: "checker".to_owned(),
        code: 0,
        clean: true,
        output: String::new(),
    });
    recovery
}

fn judged(filesystem: &str, recovery: &Recovery) -> Judgement {
    let variant = variant(filesystem);
    Judge::new(&variant).judge(&history(&variant), recovery)
}

fn at_path<'t>(recovery: &'t mut Recovery, path: &str) -> &'t mut TreeEntry {
    let entry = recovery
        .tree
        .iter_mut()
        .find(|entry| entry.path == path.as_bytes());
    entry.unwrap_or_else(|| panic!("{path}"))
}

fn without(recovery: &mut Recovery, path: &str) {
    recovery.tree.retain(|entry| entry.path != path.as_bytes());
}

const FILESYSTEMS: [&str; 8] = [
    "type: ext4",
    "type: ext4, mount: 'data=journal'",
    "type: ext4, mount: 'data=writeback'",
    "type: ext4, mkfs: [-O, ^has_journal]",
    "type: xfs",
    "type: btrfs",
    "type: f2fs",
    "type: f2fs, mount: 'fsync_mode=strict'",
];

#[test]
fn nothing_is_said_of_a_healthy_tree() {
    for filesystem in FILESYSTEMS {
        let judgement = judged(filesystem, &healthy());
        assert_eq!(
            (&judgement.findings[..], &judgement.doubts[..]),
            (&[][..], &[][..]),
            "{filesystem}"
        );
        assert!(judgement.observed.is_empty(), "{filesystem}: {judgement:?}");
        assert!(
            judgement.obligations >= 5,
            "{filesystem}: {}",
            judgement.obligations
        );
    }
}

#[test]
fn what_was_not_synced_may_be_there_or_not() {
    let mut later = healthy();
    // The rename, and the file that was written last, of which only the size came.
    at_path(&mut later, "d/b").path = b"c".to_vec();
    later.tree.push(inode(16, 1, file("late", zeros(4096))));
    let mut half = later.clone();
    at_path(&mut half, "late").extents = vec![content("late@1", 0, 1024), at(1024, 3072, Source::Zeros)];
    let mut empty = later.clone();
    *at_path(&mut empty, "late") = inode(16, 1, file("late", Vec::new()));
    for filesystem in FILESYSTEMS {
        for recovery in [&later, &half, &empty] {
            let judgement = judged(filesystem, recovery);
            assert_eq!(judgement.findings, [], "{filesystem}");
        }
    }
}

/// Something planted in a healthy tree.
type Planted = (&'static str, fn(&mut Recovery));

const PLANTED: [Planted; 24] = [
    ("an acknowledged overwrite is lost", |r| {
        at_path(r, "a").extents = whole("a@1", 8192);
        at_path(r, "d/hard").extents = whole("a@1", 8192);
    }),
    ("two blocks are swapped", |r| {
        let swapped = vec![
            crate::trees::displaced("a@2", 0, 4096, 4096),
            crate::trees::displaced("a@1", 4096, 4096, 0),
        ];
        at_path(r, "a").extents.clone_from(&swapped);
        at_path(r, "d/hard").extents = swapped;
    }),
    ("a synced block is zeros", |r| {
        at_path(r, "d/new").extents = vec![at(0, 4096, Source::Zeros), content("new@1", 4096, 904)];
    }),
    ("stale data of another file in synced data", |r| {
        at_path(r, "d/new").extents = vec![content("gone@1", 0, 4096), content("new@1", 4096, 904)];
    }),
    ("stale data of another file in data that was never synced", |r| {
        r.tree.push(inode(16, 1, file("late", whole("gone@1", 4096))));
    }),
    ("garbage in data that was never synced", |r| {
        r.tree
            .push(inode(16, 1, file("late", vec![at(0, 4096, Source::Garbage)])));
    }),
    ("a file is short by a byte", |r| {
        let new = at_path(r, "d/new");
        new.size = 4999;
        new.extents = whole("new@1", 4999);
    }),
    ("a file is long by a byte", |r| {
        let new = at_path(r, "d/new");
        new.size = 5001;
        new.extents.push(at(5000, 1, Source::Zeros));
    }),
    ("a file of the setup is lost", |r| without(r, "d/b")),
    ("an fsynced file has no name", |r| without(r, "d/new")),
    ("one of two links is lost", |r| {
        without(r, "d/hard");
        at_path(r, "a").nlink = 1;
    }),
    ("a directory is lost with all that is in it", |r| {
        r.tree.retain(|entry| !entry.path.starts_with(b"d"));
        r.tree[0].nlink = 2;
        at_path(r, "a").nlink = 1;
    }),
    ("a directory block is zeroed", |r| {
        r.tree.retain(|entry| !entry.path.starts_with(b"d/"));
        at_path(r, "a").nlink = 1;
    }),
    ("an unlinked file is back", |r| {
        r.tree.push(inode(17, 1, file("gone", whole("gone@1", 4096))));
    }),
    ("a link count is off", |r| {
        at_path(r, "a").nlink = 3;
        at_path(r, "d/hard").nlink = 3;
    }),
    ("a directory's link count is off", |r| at_path(r, "d").nlink = 3),
    ("an xattr has its old value", |r| {
        at_path(r, "a").xattrs[0].1 = b"one".to_vec();
        at_path(r, "d/hard").xattrs[0].1 = b"one".to_vec();
    }),
    ("an xattr is gone", |r| {
        at_path(r, "a").xattrs.clear();
        at_path(r, "d/hard").xattrs.clear();
    }),
    ("the mode is the old one", |r| {
        at_path(r, "a").mode = 0o644;
        at_path(r, "d/hard").mode = 0o644;
    }),
    ("a name is duplicated", |r| {
        let twin = TreeEntry {
            path: b"c".to_vec(),
            ..at_path(r, "d/b").clone()
        };
        r.tree.push(twin);
    }),
    ("a rename left both names, and the link count says so", |r| {
        at_path(r, "d/b").nlink = 2;
        let twin = TreeEntry {
            path: b"c".to_vec(),
            ..at_path(r, "d/b").clone()
        };
        r.tree.push(twin);
    }),
    ("a symlink points elsewhere", |r| {
        at_path(r, "s").target = Some(b"d/c".to_vec());
    }),
    ("a file cannot be read", |r| {
        at_path(r, "d/new").extents = vec![unreadable(0, 4096), content("new@1", 4096, 904)];
    }),
    ("the checker finds something", |r| {
        let fsck = r.fsck.as_mut().expect("it ran");
        fsck.clean = false;
        fsck.code = 4;
    }),
];

/// Which rules catch what, in which filesystem: a table to be read. Where a cell is `-`, nobody promises that it does not
/// happen.
#[test]
fn what_is_planted_is_caught() {
    let mut table = String::new();
    for (what, plant) in PLANTED {
        let _ = writeln!(table, "{what}");
        for filesystem in FILESYSTEMS {
            let mut recovery = healthy();
            plant(&mut recovery);
            let judgement = judged(filesystem, &recovery);
            let findings = judgement.findings.iter();
            let caught: Vec<String> = findings
                .map(|f| format!("{} ({})", f.rule.as_deref().unwrap_or("-"), f.kind))
                .collect();
            let observed = judgement.observed.iter();
            let observed = observed.map(|f| format!("{} (observed)", f.rule.as_deref().unwrap_or("-")));
            let all: Vec<String> = caught.iter().cloned().chain(observed).collect();
            let all = if all.is_empty() {
                "-".to_owned()
            } else {
                all.join(", ")
            };
            let _ = writeln!(table, "    {}: {all}", filesystem.trim_start_matches("type: "));
            if filesystem == FILESYSTEMS[0] {
                assert!(!caught.is_empty(), "{what} is not caught in {filesystem}");
            }
        }
    }
    insta::assert_snapshot!("planted", table);
}
