//! Exploring on a real kernel: workloads nobody wrote down, and what becomes of a finding.

use crate::common;
use coldcut_core::outcome::result::RunResult;
use coldcut_core::outcome::verdict::{Standing, ViolationKind};

const KERNEL: &str = "6.12";

/// A name is promised that nothing made durable: what `explore DIR` must find.
const LOST: &str = "format: 1
name: lost
filesystem: {type: ext4, size: 32MiB, mkfs: [\"-b\", \"4096\", \"-J\", \"size=4\", \"-E\", \"lazy_itable_init=0,lazy_journal_init=0,nodiscard\"]}
setup:
  - mkdir: d
  - write: {path: d/beside, len: 4KiB}
workload:
  - setxattr: {path: d/beside, name: user.a, value: b}
  - fsync: d/beside
  - write: {path: d/new, len: 12KiB, content: new@1}
  - rename: {from: d/beside, to: d/other}
  - mark: promised
expect:
  - exists: {path: d/new}
    after: promised
  - no_foreign_data: all
crash: all
end: cut
outcome: holds
";

fn result(results: &std::path::Path) -> RunResult {
    let json = std::fs::read(results.join("latest/result.json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}

#[test]
fn workloads_within_bounds_are_recorded_and_judged_in_every_state() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "explore", "--seq", "2", "--sample", "--count", "4", "--seed", "5", "--kernel", KERNEL, "--trust",
        "screen",
    ];
    let output = common::coldcut(dir.path()).args(args).output().unwrap();
    let text = common::text(&output);
    assert!(text.contains("4 of 4 workloads"), "{text}");
    let run = result(dir.path());
    assert_eq!(run.cells.len(), 4, "{text}");
    for cell in &run.cells {
        // Every step did what the workload is about; where nothing is promised, nothing is said.
        assert_ne!(cell.standing, Standing::NotAsDeclared, "{text}");
        let complete = cell.states.complete.as_ref().expect("a complete plan");
        assert!(complete.is_whole() && cell.states.total > 4, "{cell:#?}");
    }
}

#[test]
fn what_is_found_is_said_at_once_and_put_into_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let scenarios = dir.path().join("scenarios");
    std::fs::create_dir(&scenarios).unwrap();
    std::fs::write(scenarios.join("lost.yaml"), LOST).unwrap();
    let scenarios = scenarios.to_str().unwrap();
    let output = common::coldcut(dir.path())
        .args(["explore", scenarios, "--kernel", KERNEL])
        .output()
        .unwrap();
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("FOUND lost.default.6.12  violates missing"),
        "{text}"
    );
    let run = result(dir.path());
    assert!(
        run.cells[0]
            .violations
            .iter()
            .any(|v| v.kind == ViolationKind::Missing && v.confirmed == Some(true))
    );
    let output = common::coldcut(dir.path()).arg("findings").output().unwrap();
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("1. missing on ext4 6.12."), "{text}");
    assert!(text.contains("after rename, setxattr, write: 1 cell"), "{text}");
}
