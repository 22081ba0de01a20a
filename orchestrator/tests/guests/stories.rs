//! War stories 1 and 2 on real kernels, and what makes each control one. Every kernel is `make stories`'s to run; here a
//! part that fits the time. Story 3 has a test of its own.

use crate::common;
use crate::common::differ::{differences, scenario};
use coldcut_core::outcome::result::RunResult;
use coldcut_core::outcome::verdict::{Declared, Standing, Verdict, ViolationKind};

const STORY_1: &str = "scenarios/stories/1-stale-data-after-crash.yaml";
const STORY_2: &str = "scenarios/stories/2-direct-io-coherency.yaml";
const STORY_3: &str = "scenarios/stories/3-rename-without-dir-fsync.yaml";

fn as_declared(run: &RunResult) {
    for cell in &run.cells {
        assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
        // Of a kernel that panicked nothing else is known.
        let panicked = cell.violations.iter().any(|v| v.kind == ViolationKind::Panic);
        assert!(cell.obligations > 0 || panicked, "{cell:#?}");
    }
}

/// Pairs of a hazard and its control, with what the control has in place of the hazard's part.
type Pairs = &'static [(&'static str, &'static str, &'static [&'static str])];

/// Each control with its hazard, and what protects it.
///
/// Where the data is held, the hazard joins the commit before the release, so that it cannot be missed. In a control
/// that waits for the data it must still run then, and is joined after the release.
const CONTROLS: [(&str, Pairs); 3] = [
    (
        STORY_1,
        &[
            (
                "rewritten-writeback",
                "rewritten-ordered",
                &["data=writeback -> data=ordered"],
            ),
            (
                "rewritten-writeback",
                "rewritten-journal",
                &["data=writeback -> data=journal"],
            ),
            (
                "new-writeback",
                "new-ordered",
                &["data=writeback -> data=ordered"],
            ),
            (
                "new-writeback",
                "new-journal",
                &["data=writeback -> data=journal"],
            ),
            (
                "held-writeback",
                "held-ordered",
                &[
                    "data=writeback -> data=ordered",
                    "- join commit",
                    "+ join commit",
                    "+ join commit",
                ],
            ),
            (
                "held-writeback",
                "held-journal",
                &[
                    "data=writeback -> data=journal",
                    "- join commit",
                    "+ join commit",
                    "+ join commit",
                ],
            ),
            (
                "held-writeback",
                "held-default",
                &["dioread_lock -> no dioread_lock"],
            ),
            (
                "held-writeback-noextent",
                "held-default",
                &["mkfs without -O", "mkfs without ^extent,^64bit"],
            ),
        ],
    ),
    (
        STORY_2,
        &[
            ("mmap-store", "mmap-store-not-mixed", &["- mmapstore"]),
            (
                "buffered-write",
                "buffered-write-not-mixed",
                &["- start mixer", "- observe", "- join mixer"],
            ),
        ],
    ),
    (
        STORY_3,
        &[
            (
                "rename-over-wait",
                "rename-over-wait-commit",
                // The hazard waits two seconds and fails if a commit comes; the control waits for one.
                &["no commit -> commit=1", "- commit", "+ commit"],
            ),
            (
                "auto-held",
                "auto-held-nodelalloc",
                &[
                    "no nodelalloc -> nodelalloc",
                    "- join commit",
                    "+ join commit",
                    "+ join commit",
                ],
            ),
            (
                "auto-held",
                "auto-held-dioread-lock",
                &[
                    "no dioread_lock -> dioread_lock",
                    "- join commit",
                    "+ join commit",
                    "+ join commit",
                ],
            ),
        ],
    ),
];

#[test]
fn every_control_differs_from_its_hazard_by_its_protection_alone() {
    for (file, pairs) in CONTROLS {
        let scenario = scenario(file);
        let variant = |name: &str| scenario.variant(name).unwrap_or_else(|| panic!("no {name}"));
        for (hazard, control, protection) in pairs {
            let (hazard, control) = (variant(hazard), variant(control));
            assert_eq!(control.outcome, Declared::Holds, "{}", control.name);
            let hazardous = match &hazard.outcome {
                Declared::Kernels(list) => list.iter().any(|(_, o)| matches!(o, Declared::Violates(_))),
                one => matches!(one, Declared::Violates(_)),
            };
            assert!(hazardous, "{}", hazard.name);
            assert_eq!(differences(hazard, control), *protection, "{}", control.name);
        }
    }
}

#[test]
fn stale_data_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let variants = "rewritten-writeback,rewritten-ordered,held-writeback,held-default";
    let (code, run) = common::run(dir.path(), &[STORY_1, "--kernel", "6.12", "--variant", variants]);
    as_declared(&run);
    assert_eq!((code, run.cells.len()), (0, 4));
    for variant in ["rewritten-writeback", "held-writeback"] {
        let cell = common::cell(&run, variant, "6.12");
        let foreign = cell
            .violations
            .iter()
            .find(|v| v.kind == ViolationKind::StaleData);
        let evidence = &foreign.unwrap().evidence;
        assert!(
            evidence.contains("secret@0 of the deleted file secret"),
            "{evidence}"
        );
    }
    let old = common::cell(&run, "rewritten-writeback", "6.12");
    let old = old.violations.iter().find(|v| v.kind == ViolationKind::OldData);
    assert!(old.unwrap().evidence.contains("victim@0"), "{old:?}");
}

#[test]
fn direct_io_beside_the_page_cache() {
    let dir = tempfile::tempdir().unwrap();
    let (code, run) = common::run(dir.path(), &[STORY_2, "--kernel", "5.10,6.12"]);
    as_declared(&run);
    assert_eq!(code, 0);
    for kernel in ["5.10", "6.12"] {
        let cell = common::cell(&run, "mmap-store", kernel);
        let kinds = vec![
            ViolationKind::Dmesg,
            ViolationKind::LostWrite,
            ViolationKind::Measure,
        ];
        assert_eq!(cell.verdict, Verdict::Violation { kinds });
    }
}

/// A defect that real kernels have: fsync without a journal of an inode that is not dirty.
#[test]
fn an_fsync_without_a_journal_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let cleaned = "scenarios/found/ext4-fsync-without-journal.yaml";
    let clean = "scenarios/found/ext4-fsync-clean-inode.yaml";
    let (code, run) = common::run(
        dir.path(),
        &[cleaned, clean, "--kernel", "5.10", "--trust", "screen"],
    );
    as_declared(&run);
    assert_eq!((code, run.cells.len()), (0, 10));
    for (variant, words) in [
        ("without-journal", "f@1 (size 4096), expected f@1 (size 65536)"),
        ("xattr", "user.changed `old`, expected `new`"),
        ("symlink-far", "pointer does not exist"),
    ] {
        let violation = &common::cell(&run, variant, "5.10").violations[0];
        assert!(violation.evidence.contains(words), "{violation:?}");
        assert_eq!(violation.confirmed, Some(true));
    }
}

/// Defects that 6.12 has, with their controls: a panic, an inconsistent filesystem, and writes that sync leaves behind.
#[test]
fn defects_of_kernels_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let found = |name: &str| format!("scenarios/found/ext4-{name}.yaml");
    let files = [
        "inline-data-truncate",
        "fast-commit-xattr",
        "syncfs-without-journal",
    ]
    .map(found);
    let [truncate, xattr, syncfs] = &files;
    let (code, run) = common::run(dir.path(), &[truncate, xattr, syncfs, "--kernel", "6.12"]);
    as_declared(&run);
    assert_eq!((code, run.cells.len()), (0, 11));
    for (variant, state, evidence) in [
        ("never-opened", "live", "NULL pointer dereference"),
        ("xattr-block", "b", "i_blocks is 16, should be 24"),
        ("without-journal", "b", "f holds zeros (size 32768)"),
    ] {
        let violation = &common::cell(&run, variant, "6.12").violations[0];
        assert!(violation.evidence.contains(evidence), "{violation:?}");
        assert!(
            violation.state.as_str().starts_with(state) && violation.confirmed == Some(true),
            "{violation:?}"
        );
    }
}

#[test]
fn the_stories_come_as_a_grid() {
    let dir = tempfile::tempdir().unwrap();
    let junit = dir.path().join("stories.xml");
    let output = common::coldcut(dir.path())
        .args([
            "stories",
            "2",
            "--variant",
            "reader,mmap-store",
            "--kernel",
            "6.12",
            "--repeat",
            "2",
            "--junit",
        ])
        .arg(&junit)
        .output()
        .unwrap();
    let text = common::text(&output);
    assert!(output.status.success(), "{text}");
    let cases = std::fs::read_to_string(&junit).unwrap();
    assert_eq!(
        cases.matches("<testcase").count(),
        2,
        "a cell, however often it ran: {cases}"
    );
    let row = |name: &str| {
        text.lines()
            .find(|l| l.trim_start().starts_with(name))
            .unwrap_or_else(|| panic!("{text}"))
    };
    assert!(row("direct-io-coherency").ends_with("6.12"), "{text}");
    assert!(row("reader ").ends_with("holds"), "{text}");
    assert!(row("mmap-store ").contains("lost-write"), "{text}");
    assert!(
        text.contains("2 cells as declared, 0 not, 0 inconclusive"),
        "{text}"
    );

    let output = common::coldcut(dir.path())
        .args(["stories", "99"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        common::text(&output).contains("there is no story 99"),
        "{}",
        common::text(&output)
    );
}
