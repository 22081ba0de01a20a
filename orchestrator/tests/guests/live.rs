//! What the kernel does while it runs: war stories 4 and 5 on a real kernel, and that their controls can fail.

use crate::common;
use coldcut_core::outcome::result::{CellResult, Place};
use coldcut_core::outcome::verdict::{Declared, Standing, Verdict, ViolationKind};
use coldcut_core::scenario::Scenario;

const THROTTLING: &str = "scenarios/stories/4-dirty-throttling.yaml";
const SPLICE: &str = "scenarios/stories/5-splice-sendfile.yaml";
const KERNEL: &str = "6.12";

/// Runs some variants of a story, with some of its text replaced.
fn with(story: &str, changes: &[(&str, &str)], variants: &[&str]) -> Vec<CellResult> {
    let mut text = std::fs::read_to_string(common::root().join(story)).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{story} has no `{from}`");
        text = text.replace(from, to);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut args = vec!["--kernel", KERNEL];
    for variant in variants {
        args.extend(["--variant", variant]);
    }
    let (_, run) = common::run_text(dir.path(), &text, &args);
    variants
        .iter()
        .map(|variant| common::cell(&run, variant, KERNEL).clone())
        .collect()
}

#[test]
fn hazards_show_and_controls_stay_quiet() {
    for (story, variants) in [
        (THROTTLING, ["limits", "idle"].as_slice()),
        (
            SPLICE,
            &[
                "capacity",
                "mutex",
                "mutex-free",
                "under-read",
                "under-no-read",
                "reference",
            ],
        ),
    ] {
        for cell in with(story, &[], variants) {
            assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
            assert_eq!((cell.states.total, cell.states.cuts), (0, 0), "{cell:#?}");
            assert!(cell.obligations > 0 && !cell.measured.is_empty(), "{cell:#?}");
            assert!(
                cell.violations.iter().all(|v| v.state == Place::WithoutCrash),
                "{cell:#?}"
            );
        }
    }
}

/// A contrast of which both arms are tight proves nothing, and says so.
#[test]
fn a_control_without_its_protection_is_no_control() {
    let wide = "{name: vm.dirty_bytes, value: 536870912}";
    let wide_background = "{name: vm.dirty_background_bytes, value: 268435456}";
    let changes = [
        (wide, "{name: vm.dirty_bytes, value: 16777216}"),
        (
            wide_background,
            "{name: vm.dirty_background_bytes, value: 8388608}",
        ),
    ];
    let cells = with(THROTTLING, &changes, &["limits"]);
    let [cell] = cells.as_slice() else {
        panic!("one cell")
    };
    assert_ne!(cell.standing, Standing::AsDeclared, "{cell:#?}");
    let told = |text: &String| text.contains("the control does not hold");
    assert!(cell.notes.iter().any(told), "{cell:#?}");
}

/// Without what makes the hazard, the hazard's variant is not as declared; without what protects, neither is the
/// control's.
#[test]
fn hazards_and_controls_can_fail() {
    // Both pumps with the same pipe: nothing grows.
    let cells = with(
        SPLICE,
        &[("capacity: 1MiB}", "capacity: 64KiB}")],
        &["one-thread-pump"],
    );
    assert_eq!(cells[0].verdict, Verdict::Pass, "{:#?}", cells[0]);
    assert_eq!(cells[0].standing, Standing::NotAsDeclared);
    // The control's page is not in the cache, and its read is held.
    let changes = [(
        "      - read: {path: src, len: 4KiB}\n      - hold: {name: read, kind: read, of: other@0}",
        "      - hold: {name: read, kind: read, of: src@0}",
    )];
    let cells = with(SPLICE, &changes, &["under-no-read"]);
    let stall = vec![ViolationKind::Stall];
    assert_eq!(
        cells[0].verdict,
        Verdict::Violation { kinds: stall },
        "{:#?}",
        cells[0]
    );
    assert_eq!(cells[0].standing, Standing::NotAsDeclared);
}

/// What a live check saw is replayed by running the cell again.
#[test]
fn a_live_violation_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let results = dir.path().join("results");
    let (code, run) = common::run(&results, &[SPLICE, "--variant", "reference", "--kernel", KERNEL]);
    let cell = common::cell(&run, "reference", KERNEL);
    assert_eq!(code, 0, "{cell:#?}");
    let measurements = results
        .join("latest/cells")
        .join(&cell.cell.id)
        .join("measurements.json");
    let text = std::fs::read_to_string(measurements).unwrap();
    assert!(text.contains("\"came\""), "{text}");
    let state = format!("latest/{}/live", cell.cell.id);
    let output = common::coldcut(&results)
        .args(["replay", &state])
        .output()
        .unwrap();
    let text = common::text(&output);
    assert!(
        output.status.success() && text.contains("returned src@1"),
        "{text}"
    );
}

/// Every hazard of these stories has a control: a variant that holds, or an arm of its own contrast.
#[test]
fn no_hazard_is_alone() {
    for story in [THROTTLING, SPLICE] {
        let text = std::fs::read_to_string(common::root().join(story)).unwrap();
        let scenario = Scenario::parse(story, &text).unwrap();
        let holds = scenario
            .variants()
            .iter()
            .filter(|v| v.outcome == Declared::Holds);
        assert!(holds.count() > 0, "{story}");
        let live = scenario.variants().iter().all(|variant| !variant.has_crash());
        assert!(live, "{story}");
    }
}
