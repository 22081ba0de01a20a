//! Levels of trust on real kernels: results do not depend on who recovers, nor on how many machines run at once.

use crate::common;
use coldcut_core::outcome::result::{CellResult, Place, RunResult};

const STORY: &str = "scenarios/stories/3-rename-without-dir-fsync.yaml";
const BOTH: &str = "rename-over,rename-over-fsync-dir";

fn story(dir: &std::path::Path, variants: &str, args: &[&str]) -> RunResult {
    let mut all = vec![STORY, "-k", "6.12", "--variant", variants];
    all.extend(args);
    let (code, result) = common::run(dir, &all);
    assert_eq!(code, 0, "{args:?}: {result:#?}");
    result
}

/// A result without what no two runs share: run id, times, and the numbers of log entries in ids and evidence. The
/// journal's thread writes when it likes, so cuts are counted alike but not numbered alike.
fn shape(mut cell: CellResult, with_trust: bool) -> CellResult {
    cell.millis.clear();
    for violation in &mut cell.violations {
        violation.state = Place::CrashState(String::new());
        violation.evidence = violation
            .evidence
            .split_once(": ")
            .map_or_else(String::new, |(_, e)| e.to_owned());
    }
    if !with_trust {
        (cell.states.cold, cell.states.fresh, cell.states.screened) = (0, 0, 0);
    }
    cell
}

fn shapes(run: &RunResult) -> Vec<CellResult> {
    run.cells.iter().map(|c| shape(c.clone(), true)).collect()
}

#[test]
fn jobs_and_trust_change_nothing_that_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let one = story(dir.path(), BOTH, &["--jobs", "1"]);
    let two = story(dir.path(), BOTH, &["--jobs", "2"]);
    assert_eq!(shapes(&one), shapes(&two));

    let violation = &common::cell(&one, "rename-over", "6.12").violations[0];
    assert_eq!(violation.confirmed, Some(true));
    let states = &common::cell(&one, "rename-over-fsync-dir", "6.12").states;
    assert!(states.screened > 0 && states.fresh > 0, "{states:?}");
    assert_eq!(states.screened + states.fresh, states.distinct, "{states:?}");

    // Booting a kernel for each content takes long, so that level has the hazard alone.
    for (level, variants, who) in [
        (
            "screen",
            BOTH,
            (|s| s.screened) as fn(&coldcut_core::outcome::result::StateCounts) -> u64,
        ),
        ("fresh", BOTH, |s| s.fresh),
        ("cold", "rename-over", |s| s.cold),
    ] {
        let run = story(dir.path(), variants, &["--trust", level]);
        for cell in &run.cells {
            let same = common::cell(&one, &cell.cell.variant, "6.12").clone();
            assert_eq!(shape(cell.clone(), false), shape(same, false), "{level}");
        }
        assert_eq!(run.cells.len(), variants.split(',').count());
        let last = &run.cells.last().unwrap().states;
        assert_eq!(who(last), last.distinct, "{level}: {last:?}");
    }
}
