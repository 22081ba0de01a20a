//! Recording on one kernel and recovering on another, on real kernels.

use crate::common;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use coldcut::results::load_run;
use coldcut_core::outcome::result::CellResult;
use coldcut_core::outcome::verdict::{Standing, Verdict, ViolationKind};

const SCENARIO: &str = r#"
format: 1
name: elsewhere
filesystem: {type: ext4, size: 16MiB, mkfs: ["-b", "4096", "-O", "^orphan_file"]}
crash: {at: [saved]}
recover_on: [same, 5.10]
workload:
  - write: {path: new, len: 20000}
  - fsync: new
  - mark: saved
expect:
  - content: {path: new, is: new@0}
    after: saved
variants:
  kept: {}
  # After a crash 5.10 refuses this, by a feature that only a mounted filesystem has.
  orphan-file:
    filesystem: {mkfs: ["-b", "4096", "-O", "orphan_file"]}
    outcome: {kernels: {"6.12": {recovered_on: {"5.10": {violates: mount}, "6.12": holds}}}}
  # An option that 5.10 does not know, crash or no crash.
  unknown-there:
    recover_on: [5.10]
    filesystem: {mount: "mb_optimize_scan=1"}
"#;

#[test]
fn one_recording_is_recovered_by_several_kernels() {
    let dir = tempfile::tempdir().unwrap();
    let (code, run) = common::run_text(
        dir.path(),
        SCENARIO,
        &["-k", "6.12", "--jobs", "1", "--trust", "fresh"],
    );
    assert_eq!(code, 0, "{run:#?}");
    let results = dir.path().join("results");
    let cells = results.join("latest/cells");
    let ids: Vec<&str> = run.cells.iter().map(|cell| cell.cell.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "elsewhere.kept.6.12",
            "elsewhere.kept.6.12.on-5.10",
            "elsewhere.orphan-file.6.12",
            "elsewhere.orphan-file.6.12.on-5.10",
            "elsewhere.unknown-there.6.12.on-5.10",
        ]
    );
    let [kept, kept_there, orphan, orphan_there, unknown] = &run.cells[..] else {
        panic!("five cells")
    };
    for cell in [kept, kept_there, orphan] {
        assert_eq!(cell.verdict, Verdict::Pass, "{cell:#?}");
        assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
    }
    one_recording(&cells, kept, kept_there, orphan);
    a_crash_that_cannot_be_mounted(orphan_there);
    unmountable_before_the_crash(unknown);
    commands_tell_of_both_kernels(&results, orphan_there);

    let info = load_run(&results.join("latest")).unwrap();
    let names: Vec<&str> = info.kernels.iter().map(|k| k.name.as_str()).collect();
    assert_eq!((info.format, names), (2, vec!["6.12", "5.10"]));
}

/// Both kernels recover the very same file, and the same crash states.
fn one_recording(cells: &Path, kept: &CellResult, kept_there: &CellResult, other: &CellResult) {
    let releases = |cell: &CellResult| {
        let other = cell.recovered_on.as_ref().map(|k| k.release[..4].to_owned());
        (cell.kernel.release[..4].to_owned(), other)
    };
    assert_eq!(releases(kept), ("6.12".to_owned(), None));
    assert_eq!(releases(kept_there), ("6.12".to_owned(), Some("5.10".to_owned())));

    let number = |cell: &CellResult| {
        fs::metadata(cells.join(&cell.cell.id).join("write.log"))
            .unwrap()
            .ino()
    };
    assert_eq!(number(kept), number(kept_there));
    assert_ne!(number(kept), number(other));
    assert_eq!(kept.states.total, kept_there.states.total);
    assert_eq!(kept.states.distinct, kept_there.states.distinct);
}

/// What a crash made unmountable is a violation, in the kernel's words and confirmed by a cold boot.
fn a_crash_that_cannot_be_mounted(cell: &CellResult) {
    assert_eq!(
        cell.verdict,
        Verdict::Violation {
            kinds: vec![ViolationKind::Mount]
        }
    );
    let violation = &cell.violations[0];
    assert_eq!(violation.confirmed, Some(true));
    assert!(
        violation.evidence.contains("unsupported optional features"),
        "{}",
        violation.evidence
    );
}

/// What could not be mounted before the recording either is no violation.
fn unmountable_before_the_crash(cell: &CellResult) {
    assert_eq!(cell.standing, Standing::NotApplicable, "{cell:#?}");
    let Verdict::Inconclusive { cause } = &cell.verdict else {
        panic!("{cell:#?}")
    };
    assert!(
        cause.contains("as it was before the recording") && cause.contains("mb_optimize_scan"),
        "{cause}"
    );
}

/// `show`, `replay` and `diff` name the kernel that recorded and the one that recovered.
fn commands_tell_of_both_kernels(results: &Path, cell: &CellResult) {
    let said = |args: &[&str], code: i32, words: &[&str]| {
        let output = common::coldcut(results).args(args).output().unwrap();
        let said = common::text(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        for word in words {
            assert!(said.contains(word), "`{word}` is missing in: {said}");
        }
    };
    said(
        &["show"],
        0,
        &[
            "6.12 → 5.10",
            "elsewhere orphan-file  recovered on 6.12  recovered on 5.10",
            "  recorded on 6.12     holds              mount",
        ],
    );
    let state = format!("latest/{}/{}", cell.cell.id, cell.violations[0].state);
    said(
        &["replay", &state, "--jobs", "1"],
        1,
        &["kernel    5.10.", "of what 6.12.", "mount     failed"],
    );
    said(
        &["diff", "latest"],
        1,
        &[
            "the same recording",
            "mount: succeeds | fails",
            "latest/elsewhere.orphan-file.6.12.on-5.10",
        ],
    );
}
