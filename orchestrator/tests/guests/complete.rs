//! Complete plans on a real kernel: every state of every cut, by few recoveries.

use crate::common;
use std::path::Path;

use coldcut_core::outcome::completeness::Completeness;
use coldcut_core::outcome::result::{CellResult, RunResult};
use coldcut_core::outcome::verdict::{Standing, ViolationKind};

fn complete(cell: &CellResult) -> &Completeness {
    cell.states
        .complete
        .as_ref()
        .expect("a complete plan was asked for")
}

#[test]
fn every_state_is_judged_by_few_recoveries() {
    let dir = tempfile::tempdir().unwrap();
    let (code, run) = common::run(
        &dir.path().join("results"),
        &["scenarios/every-state.yaml", "-k", "6.12"],
    );
    assert_eq!(code, 0, "{run:#?}");
    for cell in &run.cells {
        let done = complete(cell);
        assert!(done.is_whole() && done.whole_cuts == done.cuts, "{done:?}");
        // Eight files with two contents each: 256 states at a cut, which no two recoveries multiply.
        assert!(done.states.saturated() > 1000 && done.recoveries < 60, "{done:?}");
        assert!(done.sampled >= 4 && done.differing == 0, "{done:?}");
        assert_eq!(cell.states.left_out, 0);
        // Each of them is kept for whoever looks, as with other plans.
        let kept = dir
            .path()
            .join("results/latest/cells")
            .join(&cell.cell.id)
            .join("recoveries");
        let kept = std::fs::read_dir(kept).unwrap().count() as u64;
        assert_eq!(
            kept,
            cell.states.distinct - cell.states.inferred,
            "{:?}",
            cell.states
        );
    }
    let unprotected = common::cell(&run, "unprotected", "6.12");
    assert_eq!(unprotected.violations.len(), 2, "of the first file and the last");
    for violation in &unprotected.violations {
        assert_eq!(
            (violation.kind, violation.confirmed),
            (ViolationKind::Content, Some(true))
        );
    }
}

/// Overwritten files, with what is to be added to the plan.
fn scenario(plan: &str) -> String {
    let files: Vec<String> = (0..6).map(|number| format!("f{number}")).collect();
    let lines = |line: &dyn Fn(&String) -> String| files.iter().map(line).collect::<String>();
    format!(
        "format: 1\nname: overwritten\nfilesystem: {{type: ext4, size: 32MiB, mkfs: [\"-b\", \"4096\"]}}\nsetup:\n{}workload:\n{}crash: {plan}\nend: cut\nexpect:\n  - no_foreign_data: all\n",
        lines(&|file| format!("  - write: {{path: {file}, len: 8KiB, content: {file}@0}}\n")),
        lines(&|file| format!(
            "  - write: {{path: {file}, len: 8KiB, content: {file}@1, flags: [direct]}}\n"
        )),
    )
}

fn run(dir: &Path, plan: &str, more: &[&str]) -> RunResult {
    let (code, run) = common::run_text(dir, &scenario(plan), &[&["-k", "6.12"], more].concat());
    assert_eq!(
        (code, run.cells[0].standing),
        (0, Standing::AsDeclared),
        "{run:#?}"
    );
    run
}

#[test]
fn what_a_budget_left_out_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let plan = "{plan: all, budget: 3}";
    let first = run(dir.path(), plan, &[]);
    let mut covered = complete(&first.cells[0]).clone();
    assert!(covered.recoveries == 3 && !covered.is_whole(), "{covered:?}");
    assert!(first.cells[0].states.left_out > 0);
    for _ in 0..8 {
        let next = run(dir.path(), plan, &["--resume", "latest"]);
        let now = complete(&next.cells[0]).clone();
        assert_eq!(now.states, covered.states, "the same recording");
        assert!(
            now.covered > covered.covered && now.remembered >= covered.remembered,
            "{now:?}"
        );
        covered = now;
        if covered.is_whole() {
            return;
        }
    }
    panic!("eight times three recoveries are enough: {covered:?}");
}

#[test]
fn torn_writes_are_covered_too() {
    let dir = tempfile::tempdir().unwrap();
    let whole = run(dir.path(), "all", &[]);
    let torn = run(dir.path(), "all-torn", &[]);
    let (whole, torn) = (complete(&whole.cells[0]), complete(&torn.cells[0]));
    assert!(whole.is_whole() && torn.is_whole(), "{whole:?} {torn:?}");
    // Each of the writes of two blocks may be torn between them.
    assert!(
        torn.states.saturated() > 4 * whole.states.saturated(),
        "{whole:?} {torn:?}"
    );
    assert!(torn.recoveries < 100 && torn.differing == 0, "{torn:?}");
}

#[test]
fn a_recovery_is_cut_off_again() {
    let dir = tempfile::tempdir().unwrap();
    let results = dir.path().join("results");
    let (code, run) = common::run(
        &results,
        &[
            "scenarios/recovery-cut-again.yaml",
            "-k",
            "6.12",
            "--variant",
            "ext4,unprotected",
        ],
    );
    assert_eq!(code, 0, "{run:#?}");
    // What the first cut lost the second has not: without the protection it is missed there too.
    let unprotected = common::cell(&run, "unprotected", "6.12");
    let counts = complete(unprotected);
    assert!(
        unprotected.broken > 2 * unprotected.states.cuts && counts.cut_again > 2,
        "states of cut recoveries are judged with what was acknowledged before: {unprotected:#?}"
    );
    let cell = common::cell(&run, "ext4", "6.12");
    let done = complete(cell);
    assert!(
        done.is_whole() && done.cut_again > 2 && done.differing == 0,
        "{done:?}"
    );
    assert!(
        done.cuts > 3 * cell.states.cuts,
        "each recovery has cuts of its own: {done:?}"
    );
    // A state of the second cut is rebuilt from its name.
    let again = results.join("latest/cells").join(&cell.cell.id).join("again");
    let outer = std::fs::read_dir(again).unwrap().next().unwrap().unwrap();
    let state = format!(
        "latest/{}/{}+e1-m0",
        cell.cell.id,
        outer.file_name().to_str().unwrap()
    );
    let replayed = common::coldcut(&results)
        .args(["replay", &state])
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{}", common::text(&replayed));
    // Of a recovery that was not logged there is nothing to rebuild.
    let state = format!("latest/{}/e1-m0+e1-m0+e1-m0", cell.cell.id);
    let refused = common::coldcut(&results)
        .args(["replay", &state])
        .output()
        .unwrap();
    let said = common::text(&refused);
    assert!(said.contains("was logged") && !refused.status.success(), "{said}");
}
