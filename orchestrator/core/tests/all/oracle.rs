//! What the oracle says of recovered trees.

use crate::trees::{at, content, directory, file, recovery, unreadable, whole, zeros};
use coldcut_core::oracle::{History, Judge, judge, verdict};
use coldcut_core::outcome::recovery::{CallError, Fsck, Recovery, Trust};
use coldcut_core::outcome::verdict::{Judgement, Verdict, ViolationKind};
use coldcut_core::recording::mark::Mark;
use coldcut_core::scenario::{Scenario, Variant};
use coldcut_wire::{DmesgLine, EntryKind, Extent, Source, TreeEntry};

const STEPS: &str = "
format: 1
name: test
filesystem: {type: ext4, size: 64MiB}
setup:
  - write: {path: config, len: 8KiB, content: config@0}
  - write: {path: secret, len: 8KiB}
workload:
  - write: {path: config.tmp, len: 8KiB, content: config@1}
  - rename: {from: config.tmp, to: config}
    label: renamed
expect:
";

fn variant(expect: &str) -> Variant {
    let text = format!("{STEPS}{expect}");
    let scenario = Scenario::parse("test.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
    scenario.variants()[0].clone()
}

fn marks(texts: &[&str]) -> History {
    let marks: Vec<Mark> = texts.iter().map(|t| Mark::from(*t)).collect();
    History::from_marks(&marks)
}

/// Judges a tree by one expectation, everything acknowledged.
fn one(expect: &str, entries: Vec<TreeEntry>) -> Judgement {
    let history = marks(&[
        "begin 0 write#0",
        "done 0 write#0",
        "begin 1 renamed",
        "done 1 renamed",
    ]);
    judge(&variant(&format!("  - {expect}\n")), &history, &recovery(entries))
}

/// The single finding's kind and evidence.
fn broken(judgement: &Judgement) -> (ViolationKind, &str) {
    let [finding] = judgement.findings.as_slice() else {
        panic!("{judgement:?}")
    };
    assert_eq!((judgement.obligations, finding.expectation), (1, Some(0)));
    (finding.kind, finding.evidence.as_str())
}

fn holds(judgement: &Judgement) {
    assert_eq!(
        (
            judgement.obligations,
            judgement.findings.len(),
            judgement.doubts.len()
        ),
        (1, 0, 0),
        "{judgement:?}"
    );
}

const NEW: &str = "content: {path: config, is: config@1}";

/// A file's extents, and the kind and evidence of what is found.
type Told = (Vec<Extent>, (ViolationKind, &'static str));

fn are_told(cases: Vec<Told>) {
    for (extents, wanted) in cases {
        assert_eq!(broken(&one(NEW, vec![file("config", extents)])), wanted);
    }
}

#[test]
fn contents_are_told_apart() {
    holds(&one(NEW, vec![file("config", whole("config@1", 8192))]));
    are_told(vec![
        (
            whole("config@0", 8192),
            (
                ViolationKind::Content,
                "config holds config@0 (size 8192), expected config@1",
            ),
        ),
        (
            whole("secret@0", 8192),
            (
                ViolationKind::StaleData,
                "config holds secret@0 (size 8192), expected config@1",
            ),
        ),
        (
            zeros(8192),
            (
                ViolationKind::Zeros,
                "config holds zeros (size 8192), expected config@1",
            ),
        ),
        (
            vec![],
            (
                ViolationKind::Size,
                "config holds nothing (size 0), expected config@1 (size 8192)",
            ),
        ),
        (
            whole("config@1", 4096),
            (
                ViolationKind::Size,
                "config holds config@1 (size 4096), expected config@1 (size 8192)",
            ),
        ),
        (
            whole("config@0", 4096),
            (
                ViolationKind::Content,
                "config holds config@0 (size 4096), expected config@1 (size 8192)",
            ),
        ),
    ]);
}

#[test]
fn parts_of_a_file_are_told_apart() {
    are_told(vec![
        (
            vec![content("config@1", 0, 4096), at(4096, 4096, Source::Zeros)],
            (
                ViolationKind::Zeros,
                "config holds config@1 at 0..4096, zeros at 4096..8192, expected config@1",
            ),
        ),
        (
            vec![content("config@1", 0, 8192), at(8192, 512, Source::Zeros)],
            (
                ViolationKind::Size,
                "config holds config@1 at 0..8192, zeros at 8192..8704, expected config@1 (size 8192)",
            ),
        ),
        (
            vec![content("config@1", 0, 4096), at(4096, 4096, Source::Garbage)],
            (
                ViolationKind::Garbage,
                "config holds config@1 at 0..4096, garbage at 4096..8192, expected config@1",
            ),
        ),
        (
            vec![content("config@1", 0, 4096), unreadable(4096, 4096)],
            (
                ViolationKind::Unreadable,
                "config holds config@1 at 0..4096, unreadable bytes (EIO) at 4096..8192, expected config@1",
            ),
        ),
        (
            vec![
                content("config@1", 0, 4096),
                crate::trees::displaced("config@1", 4096, 4096, 0),
            ],
            (
                ViolationKind::Content,
                "config holds config@1 at 0..4096, config@1 displaced by +4096 at 4096..8192, expected config@1",
            ),
        ),
    ]);
}

#[test]
fn a_content_of_another_scenario_is_foreign() {
    let judgement = one(NEW, vec![file("config", whole("elsewhere@7", 8192))]);
    assert_eq!(broken(&judgement).0, ViolationKind::StaleData);
    assert!(broken(&judgement).1.contains("elsewhere@7"));
}

#[test]
fn one_of_takes_either_but_no_mixture() {
    let either = "content: {path: config, one_of: [config@0, config@1]}";
    holds(&one(either, vec![file("config", whole("config@0", 8192))]));
    holds(&one(either, vec![file("config", whole("config@1", 8192))]));
    let mixed = vec![content("config@0", 0, 512), content("config@1", 512, 7680)];
    assert_eq!(
        broken(&one(either, vec![file("config", mixed.clone())])).0,
        ViolationKind::Content
    );
    let mixture = "content: {path: config, mix_of: [config@0, config@1]}";
    holds(&one(mixture, vec![file("config", mixed)]));
    let hole = vec![content("config@0", 0, 512), at(512, 7680, Source::Zeros)];
    assert_eq!(
        broken(&one(mixture, vec![file("config", hole)])).0,
        ViolationKind::Zeros
    );
    assert_eq!(
        broken(&one(mixture, vec![file("config", whole("config@0", 512))])).0,
        ViolationKind::Size
    );
}

#[test]
fn a_range_is_judged_alone() {
    let range = "content: {path: config, is: config@1, offset: 4KiB, len: 4KiB}";
    let rest = vec![at(0, 4096, Source::Garbage), content("config@1", 4096, 8192)];
    holds(&one(range, vec![file("config", rest)]));
    assert_eq!(
        broken(&one(range, vec![file("config", whole("config@1", 4096))])).0,
        ViolationKind::Size
    );
    assert_eq!(
        broken(&one(range, vec![file("config", whole("config@1", 8191))])).0,
        ViolationKind::Size
    );
}

#[test]
fn absent_files_are_missing_unless_they_may_be() {
    assert_eq!(
        broken(&one(NEW, vec![])),
        (ViolationKind::Missing, "config does not exist")
    );
    holds(&one(
        "content: {path: config, is: config@1, or_absent: true}",
        vec![],
    ));
    assert_eq!(broken(&one("exists: config", vec![])).0, ViolationKind::Missing);
    assert_eq!(
        broken(&one("size: {path: config, is: 0}", vec![])).0,
        ViolationKind::Missing
    );
    holds(&one("absent: config", vec![]));
}

#[test]
fn names_types_and_sizes() {
    let there = || vec![file("config", whole("config@0", 8192))];
    assert_eq!(
        broken(&one("absent: config", there())),
        (
            ViolationKind::Unexpected,
            "config exists and holds config@0 (size 8192), expected nothing"
        )
    );
    assert_eq!(
        broken(&one("exists: {path: config, type: directory}", there())),
        (ViolationKind::Type, "config is a file, expected a directory")
    );
    assert_eq!(
        broken(&one(NEW, vec![directory("config")])).0,
        ViolationKind::Type
    );
    holds(&one("size: {path: config, one_of: [0, 8KiB]}", there()));
    assert_eq!(
        broken(&one("size: {path: config, max: 4KiB}", there())),
        (ViolationKind::Size, "config has size 8192, expected 0 to 4096")
    );
}

#[test]
fn listings() {
    let tree = || {
        vec![
            directory("lost+found"),
            file("a", vec![]),
            directory("d"),
            file("d/b", vec![]),
        ]
    };
    holds(&one("listing: {path: /, is: [a, d]}", tree()));
    holds(&one("listing: {path: /, is: [a, d, lost+found]}", tree()));
    holds(&one("listing: {path: d, contains: [b], excludes: [a]}", tree()));
    assert_eq!(
        broken(&one("listing: {path: /, is: [a, x]}", tree())),
        (ViolationKind::Listing, "directory / lacks x, has d")
    );
    assert_eq!(
        broken(&one("listing: {path: /, excludes: [lost+found]}", tree())).0,
        ViolationKind::Listing
    );
    assert_eq!(
        broken(&one("listing: {path: a, contains: [x]}", tree())).0,
        ViolationKind::Type
    );
}

#[test]
fn attributes_and_xattrs() {
    let mut entry = file("config", vec![]);
    entry.mode = 0o600;
    entry.xattrs = vec![("user.tag".to_owned(), b"1".to_vec())];
    let tree = || vec![entry.clone()];
    holds(&one(
        "attributes: {path: config, mode: 600, uid: 0, nlink: 1}",
        tree(),
    ));
    assert_eq!(
        broken(&one("attributes: {path: config, mode: 644, gid: 5}", tree())),
        (
            ViolationKind::Attributes,
            "config has mode 0600, expected 0644; gid 0, expected 5"
        )
    );
    holds(&one("xattr: {path: config, name: user.tag, is: \"1\"}", tree()));
    holds(&one(
        "xattr: {path: config, name: user.other, absent: true}",
        tree(),
    ));
    assert_eq!(
        broken(&one(
            "xattr: {path: config, name: user.tag, absent: true}",
            tree()
        ))
        .0,
        ViolationKind::Attributes
    );
}

#[test]
fn foreign_data() {
    let config = "no_foreign_data: config";
    // Another generation, zeros and what was written under the name before the rename are its own.
    let own = vec![content("config@0", 0, 4096), at(4096, 4096, Source::Zeros)];
    holds(&one(config, vec![file("config", own)]));
    let stolen = vec![content("config@1", 0, 4096), content("secret@0", 4096, 4096)];
    let judgement = one(config, vec![file("config", stolen)]);
    assert_eq!(
        broken(&judgement),
        (
            ViolationKind::StaleData,
            "config holds config@1 at 0..4096, secret@0 at 4096..8192, expected only its own data"
        )
    );
    let judgement = one(
        "no_foreign_data: all",
        vec![file("unnamed", vec![at(0, 512, Source::Garbage)])],
    );
    assert_eq!(broken(&judgement).0, ViolationKind::Garbage);
    // Nothing to judge is no obligation kept.
    let judgement = one(config, vec![file("config", vec![])]);
    assert_eq!((judgement.obligations, judgement.findings.len()), (0, 0));
}

#[test]
fn data_of_its_own_that_is_too_old() {
    let new = "no_old_data: {path: config, than: config@1}";
    let mixed = vec![content("config@1", 0, 4096), content("config@0", 4096, 4096)];
    assert_eq!(
        broken(&one(new, vec![file("config", mixed.clone())])),
        (
            ViolationKind::OldData,
            "config holds config@1 at 0..4096, config@0 at 4096..8192, expected nothing of its own from before config@1"
        )
    );
    // The oldest generation has none before it; zeros and others' data are for other checks to judge.
    holds(&one(
        "no_old_data: {path: config, than: config@0}",
        vec![file("config", mixed)],
    ));
    let other = vec![content("config@1", 0, 4096), content("secret@0", 4096, 4096)];
    holds(&one(new, vec![file("config", other)]));
    let judgement = one(new, vec![file("config", vec![])]);
    assert_eq!((judgement.obligations, judgement.findings.len()), (0, 0));
}

#[test]
fn data_of_a_deleted_file_is_named_after_it() {
    let text = STEPS.replace(
        "workload:\n",
        "  - write: {path: old/secret, len: 8KiB, content: hush@0}\n  - unlink: old/secret\nworkload:\n",
    );
    let text = format!("{text}  - no_foreign_data: config\n");
    let scenario = Scenario::parse("test.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
    let stolen = vec![content("hush@0", 0, 8192)];
    let judgement = judge(
        &scenario.variants()[0],
        &marks(&[]),
        &recovery(vec![file("config", stolen)]),
    );
    assert_eq!(
        broken(&judgement),
        (
            ViolationKind::StaleData,
            "config holds hush@0 of the deleted file old/secret (size 8192), expected only its own data"
        )
    );
}

#[test]
fn expectations_wait_for_their_moment() {
    let after = variant(&format!("  - {NEW}\n    after: renamed\n"));
    let before = variant("  - content: {path: config, is: config@0}\n    before: renamed\n");
    let old = recovery(vec![file("config", whole("config@0", 8192))]);
    let begun = ["begin 0 write#0", "done 0 write#0", "begin 1 renamed"];
    let with = |last: &'static str| marks(&[&begun[..], &[last]].concat());
    let (none, open, done, failed) = (
        marks(&[]),
        marks(&begun),
        with("done 1 renamed"),
        with("failed 1 renamed 5"),
    );
    let count = |v: &Variant, h: &History| {
        let judgement = judge(v, h, &old);
        (judgement.obligations, judgement.findings.len())
    };
    assert_eq!(
        [&none, &open, &done, &failed].map(|h| count(&after, h)),
        [(0, 0), (0, 0), (1, 1), (0, 0)]
    );
    assert_eq!(
        [&none, &open, &done, &failed].map(|h| count(&before, h)),
        [(1, 0), (0, 0), (0, 0), (0, 0)]
    );
    let judgement = judge(&after, &done, &old);
    assert_eq!(
        judgement.findings[0].evidence,
        "config holds config@0 (size 8192), expected config@1 (after renamed)"
    );
}

#[test]
fn lines_of_programs_are_moments() {
    let text = format!("{STEPS}  - exists: config\n    after: {{line: tx 1}}\n")
        .replace("filesystem:", "programs: bin\nfilesystem:")
        .replace("expect:", "  - exec: {argv: [db], mark_prefix: 'ack '}\nexpect:");
    let scenario = Scenario::parse("test.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
    let nothing = recovery(vec![]);
    let judged = |history: &History| judge(&scenario.variants()[0], history, &nothing).findings.len();
    assert_eq!(judged(&marks(&["begin 2 exec#2"])), 0);
    assert_eq!(judged(&marks(&["begin 2 exec#2", "line 2 tx 10"])), 0);
    assert_eq!(judged(&marks(&["begin 2 exec#2", "line 2 tx 1"])), 1);
}

#[test]
fn a_failed_mount_is_one_finding() {
    let error = CallError {
        errno: Some(117),
        what: "mount /dev/vda: EUCLEAN".to_owned(),
    };
    let mut failed = recovery(vec![]);
    failed.tree.clear();
    failed.mount_error = Some(error.clone());
    let all = format!("  - {NEW}\n  - absent: x\n  - fsck: clean\n");
    let judgement = judge(&variant(&all), &marks(&[]), &failed);
    let [finding] = judgement.findings.as_slice() else {
        panic!("{judgement:?}")
    };
    assert_eq!((finding.kind, finding.expectation), (ViolationKind::Mount, None));
    assert_eq!(finding.evidence, "mount fails: mount /dev/vda: EUCLEAN");
    assert_eq!((judgement.obligations, judgement.judged.len()), (0, 0));

    let waived = variant(&format!("{all}  - mounts: false\n"));
    let judgement = judge(&waived, &marks(&[]), &failed);
    assert!(judgement.findings.is_empty() && judgement.obligations == 0);
    assert!(matches!(
        verdict(&waived, [&judgement]),
        Verdict::Inconclusive { .. }
    ));

    // Nobody can waive that the kernel survives.
    let dead = Recovery::panicked(Trust::Cold, "BUG: kernel NULL pointer dereference".to_owned());
    for variant in [&variant(&all), &waived] {
        let judgement = judge(variant, &marks(&[]), &dead);
        let [finding] = judgement.findings.as_slice() else {
            panic!("{judgement:?}")
        };
        assert_eq!((finding.kind, judgement.obligations), (ViolationKind::Panic, 0));
        assert!(finding.evidence.contains("NULL pointer"), "{}", finding.evidence);
    }

    let mut stuck = recovery(vec![file("config", whole("config@1", 8192))]);
    stuck.unmount_error = Some(error);
    let judgement = judge(
        &variant(&format!("  - {NEW}\n  - mounts: true\n")),
        &marks(&[]),
        &stuck,
    );
    assert_eq!(
        (judgement.findings.len(), judgement.findings[0].expectation),
        (1, Some(1))
    );
}

#[test]
fn checkers_and_the_kernels_log() {
    let v = variant("  - exists: config\n  - fsck: clean\n  - dmesg_free: [EXT4-fs error]\n");
    let mut recovered = recovery(vec![file("config", vec![])]);
    let doubt = judge(&v, &marks(&[]), &recovered);
    assert_eq!((doubt.findings.len(), doubt.doubts.len()), (0, 1));
    assert!(matches!(verdict(&v, [&doubt]), Verdict::Inconclusive { .. }));

    let output = "e2fsck 1.47.2\nPass 1: Checking\nInode 12, i_blocks is 16, should be 8.\n".to_owned();
    recovered.fsck = Some(Fsck {
        command: "e2fsck -fn".to_owned(),
        code: 4,
        clean: false,
        output,
    });
    recovered.dmesg.push(DmesgLine {
        seq: 0,
        level: 3,
        micros: 0,
        text: "EXT4-fs error (device vda)".to_owned(),
    });
    let judgement = judge(&v, &marks(&[]), &recovered);
    let evidence: Vec<&str> = judgement.findings.iter().map(|f| f.evidence.as_str()).collect();
    assert_eq!(
        evidence,
        [
            "e2fsck -fn exits 4: Inode 12, i_blocks is 16, should be 8.",
            "the kernel's log says: EXT4-fs error (device vda)"
        ]
    );
    assert_eq!((judgement.obligations, judgement.judged.len()), (1, 3));
}

#[test]
fn what_cannot_be_read_is_said_so() {
    let mut closed = directory("d");
    closed.problems.push("readdir d: Input/output error".to_owned());
    let exists = one("exists: d/a", vec![closed.clone()]);
    assert_eq!(broken(&exists).0, ViolationKind::Unreadable);
    assert_eq!(
        broken(&one("absent: d/a", vec![closed])).0,
        ViolationKind::Unreadable
    );
    let mut unread = file("config", vec![]);
    unread.size = 8192;
    unread.problems.push("open config: Input/output error".to_owned());
    assert_eq!(
        broken(&one(NEW, vec![unread.clone()])).0,
        ViolationKind::Unreadable
    );
    // Without a reason it is the walk that is wrong, not the filesystem.
    unread.problems.clear();
    let judgement = one(NEW, vec![unread]);
    assert_eq!(
        (
            judgement.findings.len(),
            judgement.doubts.len(),
            judgement.obligations
        ),
        (0, 1, 0)
    );
}

#[test]
fn walks_that_cannot_be_are_doubted() {
    let v = variant("  - exists: config\n");
    let rootless = {
        let mut r = recovery(vec![]);
        r.tree.clear();
        r
    };
    let twice = recovery(vec![file("config", vec![]), file("config", vec![])]);
    let orphan = recovery(vec![file("d/config", vec![])]);
    let mut under_file = recovery(vec![file("d", vec![]), file("d/config", vec![])]);
    under_file.tree[1].kind = EntryKind::File;
    for (i, recovered) in [rootless, twice, orphan, under_file].iter().enumerate() {
        let judgement = judge(&v, &marks(&[]), recovered);
        assert_eq!(
            (
                judgement.doubts.len(),
                judgement.findings.len(),
                judgement.obligations
            ),
            (1, 0, 0),
            "{i}"
        );
    }
}

#[test]
fn verdicts() {
    let v = variant(&format!("  - exists: config\n  - {NEW}\n    after: renamed\n"));
    let judge = Judge::new(&v);
    let new = recovery(vec![file("config", whole("config@1", 8192))]);
    let old = recovery(vec![file("config", whole("config@0", 8192))]);
    let (early, late) = (marks(&[]), marks(&["begin 1 renamed", "done 1 renamed"]));
    let (a, b, c) = (
        judge.judge(&early, &old),
        judge.judge(&late, &new),
        judge.judge(&late, &old),
    );
    assert_eq!(verdict(&v, [&a, &b]), Verdict::Pass);
    assert_eq!(
        verdict(&v, [&a, &b, &c]),
        Verdict::Violation {
            kinds: vec![ViolationKind::Content]
        }
    );
    let Verdict::Inconclusive { cause } = verdict(&v, [&a]) else {
        panic!("never put to the test")
    };
    assert_eq!(
        cause,
        "the expectation in line 14 was never put to the test: was `renamed` ever acknowledged?"
    );
    assert!(matches!(verdict(&v, []), Verdict::Inconclusive { .. }));
}

/// Paths, labels and log lines from the guest cannot break the one line of evidence.
#[test]
fn evidence_is_one_printable_line() {
    let mut odd = file("x", vec![]);
    odd.path = b"a\n\x1b[31m\xff".to_vec();
    let judgement = one("listing: {path: /, is: []}", vec![odd]);
    let evidence = broken(&judgement).1;
    assert!(!evidence.contains(char::is_control), "{evidence:?}");
}

/// Judges `no_foreign_data: all` after these steps, which are added to the setup of [`STEPS`].
fn moved(steps: &str, entries: Vec<TreeEntry>) -> Judgement {
    let text = STEPS.replace("workload:\n", &format!("{steps}workload:\n"));
    let text = format!("{text}  - no_foreign_data: all\n");
    let scenario = Scenario::parse("test.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
    judge(&scenario.variants()[0], &marks(&[]), &recovery(entries))
}

#[test]
fn moved_data_is_the_receivers_own() {
    let pipe = "  - pipe: {handle: p}\n";
    let ways = [
        "  - sendfile: {from: secret, to: b, len: 8KiB}\n".to_owned(),
        format!(
            "{pipe}  - splice: {{from: secret, to: 'fd:p.w', len: 8KiB}}\n  - splice: {{from: 'fd:p.r', to: b, len: 8KiB}}\n"
        ),
        format!(
            "{pipe}  - open: {{path: b, handle: h}}\n  - pump: {{from: secret, through: p, to: 'fd:h', len: 8KiB}}\n"
        ),
        format!(
            "{pipe}  - vmsplice: {{to: 'fd:p.w', len: 8KiB, content: secret@0}}\n  - splice: {{from: 'fd:p.r', to: b, len: 8KiB}}\n"
        ),
    ];
    for steps in ways {
        holds(&moved(&steps, vec![file("b", whole("secret@0", 8192))]));
        // Data moves one way, and no other file may hold it.
        let judgement = moved(&steps, vec![file("config", whole("secret@0", 8192))]);
        assert_eq!(broken(&judgement).0, ViolationKind::StaleData, "{steps}");
        let judgement = moved(&steps, vec![file("b", whole("config@0", 8192))]);
        assert_eq!(broken(&judgement).0, ViolationKind::StaleData, "{steps}");
    }
}

#[test]
fn moved_data_may_be_displaced() {
    let steps = "  - sendfile: {from: secret, to: b, offset: 4KiB, len: 4KiB}\n";
    let shifted = |id: &str| {
        let mut extent = content(id, 0, 4096);
        if let Source::Content { at, .. } = &mut extent.source {
            *at = 4096;
        }
        vec![extent]
    };
    holds(&moved(steps, vec![file("b", shifted("secret@0"))]));
    // A part of a sector that was displaced cannot be told from garbage.
    let judgement = moved(steps, vec![file("b", vec![at(0, 100, Source::Garbage)])]);
    assert_eq!(
        (judgement.findings.len(), judgement.doubts.len()),
        (0, 1),
        "{judgement:?}"
    );
    let judgement = moved(
        "  - sendfile: {from: secret, to: b, len: 8KiB}\n",
        vec![file("b", shifted("secret@0"))],
    );
    assert_eq!(broken(&judgement).0, ViolationKind::Content);
}
