//! The automatic oracle on a real kernel.

use std::collections::BTreeSet;

use coldcut_core::outcome::verdict::Verdict;

use crate::common;

#[test]
fn what_a_missing_flush_loses_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    let (code, run) = common::run(
        &dir.path().join("results"),
        &["scenarios/automatic-oracle.yaml", "-k", "6.12"],
    );
    assert_eq!(code, 0, "{run:#?}");
    let kept = common::cell(&run, "kept", "6.12");
    assert_eq!(kept.verdict, Verdict::Pass);
    assert!(kept.obligations > 50, "{}", kept.obligations);
    let unflushed = common::cell(&run, "unflushed", "6.12");
    let rules: BTreeSet<&str> = unflushed
        .violations
        .iter()
        .filter_map(|v| v.rule.as_deref())
        .collect();
    for rule in ["synced-size", "synced-names"] {
        assert!(rules.contains(rule), "{rules:?}");
    }
    assert!(unflushed.violations.iter().all(|v| v.confirmed == Some(true)));
}

#[test]
fn it_says_nothing_of_scenarios_that_hold_and_of_controls() {
    let dir = tempfile::tempdir().unwrap();
    let (code, run) = common::run(
        &dir.path().join("results"),
        &[
            "scenarios/suite/rename-across.yaml",
            "scenarios/suite/truncate.yaml",
            "--oracle",
            "auto",
            "-k",
            "6.12",
        ],
    );
    assert_eq!(code, 0, "{run:#?}");
    for cell in &run.cells {
        assert!(cell.violations.iter().all(|v| v.rule.is_none()), "{cell:#?}");
        // Besides what the scenario expects, names were judged in each state.
        assert!(cell.obligations > cell.states.total, "{cell:#?}");
    }
}
