//! Exploring on a real kernel: workloads nobody wrote down, and what becomes of a finding.

use crate::common;
use coldcut_core::outcome::result::RunResult;
use coldcut_core::outcome::verdict::{Standing, ViolationKind};
use coldcut_core::scenario::{Scenario, Step};
use coldcut_wire::Op;

const KERNEL: &str = "6.12";

/// A size is promised that nothing made durable: with delayed allocation, syncing another file commits the new name and no data.
const SHORT: &str = "format: 1
name: short
filesystem: {type: ext4, size: 32MiB, mkfs: [\"-b\", \"4096\", \"-J\", \"size=4\", \"-E\", \"lazy_itable_init=0,lazy_journal_init=0,nodiscard\"]}
setup:
  - mkdir: d
  - write: {path: d/beside, len: 4KiB}
workload:
  - setxattr: {path: d/beside, name: user.a, value: b}
  - write: {path: d/new, len: 12KiB, content: new@1}
  - fsync: d/beside
  - rename: {from: d/beside, to: d/other}
  - mark: promised
expect:
  - size: {path: d/new, is: 12KiB, or_absent: true}
    after: promised
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
    std::fs::write(scenarios.join("short.yaml"), SHORT).unwrap();
    let scenarios = scenarios.to_str().unwrap();
    let output = common::coldcut(dir.path())
        .args(["explore", scenarios, "--kernel", KERNEL])
        .output()
        .unwrap();
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("FOUND short.default.6.12  violates size"), "{text}");
    let run = result(dir.path());
    assert!(
        run.cells[0]
            .violations
            .iter()
            .any(|v| v.kind == ViolationKind::Size && v.confirmed == Some(true))
    );
    let output = common::coldcut(dir.path()).arg("findings").output().unwrap();
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("1. size on ext4 6.12."), "{text}");
    assert!(text.contains("after rename, setxattr, write: 1 cell"), "{text}");
    let state = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("coldcut minimize "))
        .unwrap();
    minimized(dir.path(), state);
}

/// What is left still violates, and lacks the step that has nothing to do with it.
fn minimized(dir: &std::path::Path, state: &str) {
    let (smaller, script) = (dir.join("smaller.yaml"), dir.join("case.sh"));
    let output = common::coldcut(dir)
        .args([
            "minimize",
            state,
            "--output",
            smaller.to_str().unwrap(),
            "--script",
            script.to_str().unwrap(),
        ])
        .output()
        .unwrap();
    let told = common::text(&output);
    assert!(output.status.success(), "{told}");
    let text = std::fs::read_to_string(&smaller).unwrap();
    let scenario = Scenario::parse("smaller", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let [variant] = scenario.variants() else {
        panic!("one variant")
    };
    let writes_new = |step: &Step| matches!(step.op(), Some(Op::Write(write)) if write.path == "d/new");
    assert!(variant.workload.iter().any(writes_new), "{text}");
    assert!(
        variant
            .workload
            .iter()
            .any(|step| matches!(step.op(), Some(Op::Fsync(_)))),
        "{text}"
    );
    assert!(
        variant.workload.iter().any(|step| step.name.name == "promised"),
        "{text}"
    );
    assert!(!text.contains("rename") && variant.workload.len() <= 4, "{text}");
    assert!(text.starts_with("# Violates size on 6.12."), "{text}");
    let script = std::fs::read_to_string(&script).unwrap();
    assert!(
        script.starts_with("#! /bin/bash") && script.contains("_flakey_drop_and_remount"),
        "{script}"
    );
    let (code, run) = common::run(
        &dir.join("again"),
        &[smaller.to_str().unwrap(), "--kernel", KERNEL],
    );
    assert_eq!(code, 1, "{run:#?}");
    assert!(
        run.cells[0]
            .violations
            .iter()
            .any(|v| v.kind == ViolationKind::Size),
        "{run:#?}"
    );
}
