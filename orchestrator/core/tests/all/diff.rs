//! What differs between two kernels, as text.

use crate::trees::{at, content, directory, displaced, entry, file, recovery, whole, zeros};
use coldcut_core::outcome::diff::{
    IoProfile, common, points, recoveries, render_differences, render_profiles,
};
use coldcut_core::outcome::recovery::{CallError, Fsck};
use coldcut_core::recording::io::{Io, IoKind};
use coldcut_core::recording::log::{DataRef, Geometry, LogBuilder, Order, WriteLog};
use coldcut_core::recording::mark::{Mark, StepName};
use coldcut_wire::{EntryKind, Source};

#[test]
fn trees_are_compared_file_by_file() {
    let mut left = recovery(vec![
        directory("d"),
        file("only-left", whole("a@1", 4096)),
        file("same", whole("a@1", 4096)),
        file("older", vec![content("a@1", 0, 4096), content("a@0", 4096, 4096)]),
        file("shorter", whole("a@1", 8192)),
        file(
            "moved",
            vec![displaced("a@1", 0, 4096, 8192), at(4096, 512, Source::Garbage)],
        ),
        file("attributes", vec![]),
        entry("kind", EntryKind::Symlink),
    ]);
    let mut right = recovery(vec![
        directory("d"),
        file("same", whole("a@1", 4096)),
        file("older", vec![content("a@0", 0, 8192)]),
        file("shorter", zeros(4096)),
        file(
            "moved",
            vec![
                displaced("a@1", 0, 4096, 4096),
                at(4096, 512, Source::Unreadable { errno: 5 }),
            ],
        ),
        file("attributes", vec![]),
        file("kind", zeros(512)),
        file(
            "only-right",
            [zeros(512), vec![content("b@2", 512, 512)]].concat(),
        ),
    ]);
    // Neither says anything about what was kept.
    for entry in &mut right.tree {
        entry.ino += 7;
        entry.blocks += 8;
        entry.mtime_ns += 1;
    }
    right.tree[1].size = 4096;
    let attributes = left.tree.iter().position(|e| e.path == b"attributes").unwrap();
    left.tree[attributes].xattrs = vec![("user.k".into(), b"v\n".to_vec())];
    left.tree[attributes].mode = 0o600;
    insta::assert_snapshot!(render_differences(&recoveries(&left, &right), ""));
    assert_eq!(recoveries(&left, &left), []);
    let mirrored: Vec<_> = recoveries(&right, &left)
        .into_iter()
        .map(|d| (d.right, d.left))
        .collect();
    let forward: Vec<_> = recoveries(&left, &right)
        .into_iter()
        .map(|d| (d.left, d.right))
        .collect();
    assert_eq!(mirrored, forward);
}

#[test]
fn a_disk_that_only_one_kernel_mounts_or_finds_clean() {
    let good = recovery(vec![file("a", whole("a@1", 512))]);
    let mut refused = recovery(vec![]);
    refused.tree.clear();
    refused.mount_error = Some(CallError {
        errno: Some(117),
        what: "mount: Structure needs cleaning".into(),
    });
    insta::assert_snapshot!(render_differences(&recoveries(&good, &refused), ""), @"mount: succeeds | fails: mount: Structure needs cleaning");
    let checked = |clean| {
        let mut recovery = good.clone();
        recovery.fsck = Some(Fsck {
            command: "e2fsck -fn".into(),
            code: if clean { 0 } else { 4 },
            clean,
            output: "\nInode 12 is in use\n".into(),
        });
        recovery
    };
    insta::assert_snapshot!(render_differences(&recoveries(&checked(true), &checked(false)), ""), @"checker: clean | not clean (code 4): Inode 12 is in use");
    assert_eq!(recoveries(&checked(false), &good), [], "one was not checked");
}

fn step(index: u32, name: &str) -> StepName {
    StepName {
        index,
        name: name.into(),
    }
}

/// A recording: a mount that writes, a step with `writes` writes and `flushes` flushes, a step that does nothing.
fn log(writes: u32, flushes: u32, fua: bool) -> WriteLog {
    let mut log = LogBuilder::new(Geometry {
        device_size: 1 << 20,
        sector_size: 512,
        atomic_unit: 4096,
        order: Order::Completion,
    });
    let io = |log: &mut LogBuilder, kind, fua| {
        let len = if kind == IoKind::Flush { 0 } else { 4096 };
        let data = if kind == IoKind::Write {
            DataRef::Log(512)
        } else {
            DataRef::None
        };
        let io = Io {
            kind,
            offset: 0,
            len,
            fua,
        };
        let number = log.submit(io, data).unwrap();
        log.complete(number).unwrap();
    };
    io(&mut log, IoKind::Write, false);
    log.mark(Mark::Begin(step(0, "save"))).unwrap();
    for _ in 0..writes {
        io(&mut log, IoKind::Write, fua);
    }
    for _ in 0..flushes {
        io(&mut log, IoKind::Flush, false);
        io(&mut log, IoKind::Write, false);
    }
    log.mark(Mark::Done(step(0, "save"))).unwrap();
    log.mark(Mark::Begin(step(1, "rest"))).unwrap();
    log.mark(Mark::Line {
        index: 1,
        text: "ok".into(),
    })
    .unwrap();
    log.mark(Mark::Line {
        index: 1,
        text: "ok".into(),
    })
    .unwrap();
    log.mark(Mark::Done(step(1, "rest"))).unwrap();
    io(&mut log, IoKind::Discard, false);
    log.mark(Mark::End).unwrap();
    log.build()
}

#[test]
fn recordings_are_compared_step_by_step() {
    let (left, right) = (IoProfile::of(&log(3, 2, false)), IoProfile::of(&log(4, 1, true)));
    insta::assert_snapshot!(render_profiles(&left, &right));
    assert_eq!(render_profiles(&left, &left), "");
    assert_eq!(left.barriers(), [("mount", 0), ("save", 2), ("rest", 0)]);
    assert_eq!(right.barriers(), [("mount", 0), ("save", 5), ("rest", 0)]);
    // The write of the mount and the first of the step are one epoch: no flush is between them.
    assert_eq!(left.total().epochs, 3);
}

#[test]
fn points_are_those_that_both_have() {
    let (left, right) = (log(3, 2, false), log(4, 1, true));
    let names: Vec<String> = points(&left).into_iter().map(|p| p.name).collect();
    assert_eq!(
        names,
        [
            "`save` was acknowledged",
            "a program acknowledged `ok`",
            "a program acknowledged `ok`, time 2",
            "`rest` was acknowledged",
            "the recording ended"
        ]
    );
    let both = common(&left, &right);
    assert_eq!(both.len(), 5);
    for (name, a, b) in both {
        let of = |log: &WriteLog| points(log).into_iter().find(|p| p.name == name).unwrap().cut;
        assert_eq!((of(&left), of(&right)), (a, b));
    }
}
