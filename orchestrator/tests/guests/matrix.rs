//! Modes of ext4 on a real kernel: what a mode promises is judged, and what the kernel or mkfs refuses is not.

use crate::common;
use std::fs;

use coldcut::results::load_result;
use coldcut_core::outcome::verdict::{Standing, Verdict, ViolationKind};

const SCENARIO: &str = r#"
format: 1
name: modes
filesystem: {type: ext4, size: 16MiB, mkfs: ["-b", "4096"]}
crash: {at: [saved]}
setup:
  - create: {path: old}
workload:
  - write: {path: new, len: 20000}
  - fsync: new
  - mark: saved
expect:
  - content: {path: new, is: new@0}
    after: saved
  - no_foreign_data: all
  - fsck: clean
variants:
  kept: {outcome: holds}
  never-written:
    expect:
      - exists: {path: newer}
        after: saved
    outcome: {violates: missing}
"#;

#[test]
fn modes_are_judged_by_what_they_promise_or_refused_in_the_kernels_words() {
    let dir = tempfile::tempdir().unwrap();
    let (scenario, results) = (dir.path().join("scenario.yaml"), dir.path().join("results"));
    fs::write(&scenario, SCENARIO).unwrap();
    let modes = "writeback,journal_async_commit,1k-blocks,nobarrier-battery,no-journal";
    let output = common::coldcut(&results)
        .arg("matrix")
        .arg(&scenario)
        .args(["--mounts", "ext4", "-k", "6.12", "--jobs", "1", "--mode", modes])
        .output()
        .unwrap();
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    // Hazards of other modes are not part of it.
    assert!(!text.contains("never-written"), "{text}");
    let result = load_result(&results.join("latest")).unwrap();
    let names: Vec<&str> = result
        .cells
        .iter()
        .map(|cell| cell.cell.variant.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "kept@writeback",
            "kept@nobarrier-battery",
            "kept@journal_async_commit",
            "kept@no-journal",
            "kept@1k-blocks"
        ]
    );
    for cell in &result.cells {
        if cell.cell.variant == "kept@journal_async_commit" {
            assert_eq!(cell.standing, Standing::NotApplicable, "{cell:#?}");
            assert!(
                matches!(&cell.verdict, Verdict::Inconclusive { cause } if cause.contains("EXT4-fs")
                    && cause.contains("journal_async_commit in data=ordered")),
                "{cell:#?}"
            );
        } else if cell.cell.variant == "kept@no-journal" {
            // Whatever it is, it is known, and after e2fsck it can be mounted.
            assert_eq!(cell.standing, Standing::Observed, "{cell:#?}");
            assert!(
                cell.violations.iter().all(|v| v.kind != ViolationKind::Mount),
                "{cell:#?}"
            );
        } else {
            assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
            assert!(cell.obligations > 0, "{cell:#?}");
        }
    }
    assert_eq!(result.cells[0].mount, "data=writeback");
    let totals = result.totals;
    assert_eq!(
        (totals.as_declared, totals.not_applicable, totals.observed),
        (3, 1, 1)
    );
}

const COLLAPSE: &str = r#"
format: 1
name: collapse
filesystem: {type: ext4, size: 16MiB, mkfs: ["-b", "4096"]}
crash: {at: [saved]}
setup:
  - write: {path: f, len: 128KiB}
workload:
  - fallocate: {path: f, mode: collapse_range, offset: 4KiB, len: LEN}
  - fsync: f
  - mark: saved
expect:
  - size: {path: f, min: 1, max: 1MiB}
    after: saved
"#;

/// A range that is no cluster is refused with bigalloc only: that is no defect. What is refused everywhere is one.
#[test]
fn a_step_that_is_refused_in_one_mode_only_is_not_applicable() {
    let dir = tempfile::tempdir().unwrap();
    let (scenario, results) = (dir.path().join("scenario.yaml"), dir.path().join("results"));
    for (len, code, standing, words) in [
        (
            "8KiB",
            3,
            Standing::NotApplicable,
            "in the scenario's own mode this kernel does it",
        ),
        (
            "1KiB",
            3,
            Standing::Inconclusive,
            "in the scenario's own mode is not known",
        ),
    ] {
        fs::write(&scenario, COLLAPSE.replace("LEN", len)).unwrap();
        let output = common::coldcut(&results)
            .arg("matrix")
            .arg(&scenario)
            .args([
                "--mounts", "ext4", "-k", "6.12", "--jobs", "1", "--mode", "bigalloc",
            ])
            .output()
            .unwrap();
        let text = common::text(&output);
        // Nothing is as declared here: a run that shows nothing does not pass.
        assert_eq!(output.status.code(), Some(code), "{text}");
        let result = load_result(&results.join("latest")).unwrap();
        assert_eq!(result.cells[0].standing, standing, "{text}");
        assert!(
            text.contains(words) && text.contains("Invalid argument"),
            "{text}"
        );
    }
}

#[test]
fn a_mode_that_is_none_is_refused_with_those_that_are() {
    let dir = tempfile::tempdir().unwrap();
    let output = common::coldcut(dir.path())
        .args(["matrix", "--mounts", "ext4", "--list", "--mode", "jurnal"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        common::text(&output).contains("there are default, ordered"),
        "{}",
        common::text(&output)
    );
    let listed = common::coldcut(dir.path())
        .args(["matrix", "--mounts", "ext4", "--list", "--mode", "writeback"])
        .output()
        .unwrap();
    assert_eq!(listed.status.code(), Some(0));
    assert!(common::text(&listed).contains("Documentation/admin-guide/ext4.rst"));
}
