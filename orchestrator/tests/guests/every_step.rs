//! Every step there is, on the oldest and on a recent kernel.

use crate::common;
use coldcut_core::outcome::verdict::{Standing, Verdict};

fn on(kernel: &str) {
    let dir = tempfile::tempdir().unwrap();
    let scenario = "orchestrator/tests/scenarios/every-step.yaml";
    let (code, run) = common::run(dir.path(), &[scenario, "--kernel", kernel]);
    let cell = common::cell(&run, "default", kernel);
    assert_eq!(
        (&cell.verdict, cell.standing),
        (&Verdict::Pass, Standing::AsDeclared),
        "{cell:#?}"
    );
    assert!(cell.obligations > 100 && cell.notes.is_empty(), "{cell:#?}");
    assert_eq!(code, 0);
}

#[test]
fn on_5_10() {
    on("5.10");
}

#[test]
fn on_6_12() {
    on("6.12");
}
