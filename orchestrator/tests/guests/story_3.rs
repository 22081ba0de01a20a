//! War story 3 on every kernel that the tests have: each hazard happens, each control holds, and each control is one.

use crate::common;
use coldcut_core::outcome::verdict::{Declared, Standing, Verdict, ViolationKind};
use coldcut_core::scenario::Variant;

const STORY: &str = "scenarios/stories/3-rename-without-dir-fsync.yaml";
const KERNELS: [&str; 3] = ["5.10", "6.1", "6.12"];

/// On kernels other than the newest: each hazard with a control of its own.
const PAIRS: &str = "rename-over,rename-over-fsync-dir,rename-new-name,rename-new-name-fsync-file,no-fsync,\
                     no-fsync-but-fsync,auto-held,auto-held-dioread-lock";

#[test]
fn hazards_happen_and_controls_hold() {
    let dir = tempfile::tempdir().unwrap();
    let (code, mut run) = common::run(dir.path(), &[STORY, "--kernel", "6.12"]);
    let (older, pairs) = common::run(dir.path(), &[STORY, "--kernel", "5.10,6.1", "--variant", PAIRS]);
    run.cells.extend(pairs.cells);
    for cell in &run.cells {
        assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
        assert!(
            cell.obligations > 0 && cell.states.cuts > 5 && cell.states.distinct > 1,
            "{cell:#?}"
        );
        assert!(
            cell.violations.iter().all(|v| v.confirmed == Some(true)),
            "a kernel booted for it shows every violation: {cell:#?}"
        );
        assert_eq!(cell.states.inconclusive, 0, "{cell:#?}");
    }
    assert_eq!((code, older), (0, 0));
    let expected = [
        ("rename-over", ViolationKind::Content, "config holds config@0"),
        ("rename-new-name", ViolationKind::Missing, "fresh"),
        ("no-fsync", ViolationKind::Size, "config"),
        ("auto-held", ViolationKind::Zeros, "config holds zeros"),
    ];
    for kernel in KERNELS {
        for (variant, kind, words) in expected {
            let cell = common::cell(&run, variant, kernel);
            assert_eq!(cell.verdict, Verdict::Violation { kinds: vec![kind] });
            assert!(
                cell.violations[0].evidence.contains(words),
                "{:?}",
                cell.violations
            );
        }
    }
}

/// A control that differs from its hazard in more than its protection proves nothing.
#[test]
fn controls_differ_from_hazards_only_by_their_protection() {
    let text = std::fs::read_to_string(common::root().join(STORY)).unwrap();
    let scenario = coldcut_core::scenario::Scenario::parse(STORY, &text).unwrap();
    let variant = |name: &str| scenario.variant(name).unwrap();
    for (hazard, controls) in [
        (
            "rename-over",
            [
                "rename-over-fsync-dir",
                "rename-over-fsync-file",
                "rename-over-dirsync",
            ]
            .as_slice(),
        ),
        (
            "rename-new-name",
            &[
                "rename-new-name-fsync-dir",
                "rename-new-name-fsync-file",
                "rename-new-name-dirsync",
            ],
        ),
        ("no-fsync", &["no-fsync-but-fsync"]),
    ] {
        let hazard = variant(hazard);
        assert!(matches!(hazard.outcome, Declared::Violates(_)));
        for control in controls.iter().map(|name| variant(name)) {
            assert_eq!(control.outcome, Declared::Holds, "{}", control.name);
            assert_eq!(
                checks(control),
                checks(hazard),
                "{}: the same checks",
                control.name
            );
            assert_eq!(control.setup, hazard.setup, "{}: the same setup", control.name);
            let flags = control.filesystem.flags.len() - hazard.filesystem.flags.len();
            let extra = control.workload.len() - hazard.workload.len();
            assert_eq!(flags + extra, 1, "{}: one protection", control.name);
            let without: Vec<_> = actions(control)
                .into_iter()
                .filter(|a| actions(hazard).contains(a))
                .collect();
            assert_eq!(
                without,
                actions(hazard),
                "{}: the same steps besides",
                control.name
            );
        }
    }
}

fn checks(variant: &Variant) -> Vec<String> {
    variant
        .expect
        .iter()
        .map(|e| format!("{:?} {:?} {:?}", e.check, e.after, e.before))
        .collect()
}

fn actions(variant: &Variant) -> Vec<String> {
    variant
        .workload
        .iter()
        .map(|s| format!("{:?}", s.action))
        .collect()
}
