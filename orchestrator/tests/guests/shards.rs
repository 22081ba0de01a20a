//! A run that two machines share and one that repeats, on a real kernel: what is merged is the whole run.

use crate::common;
use std::collections::BTreeSet;
use std::fs;

use coldcut::results::{load_result, load_run};
use coldcut_core::outcome::verdict::Standing;

const SCENARIO: &str = r"
format: 1
name: shared-out
filesystem: {type: ext4, size: 16MiB}
crash: {at: [saved]}
expect:
  - exists: {path: new}
    after: saved
variants:
  kept:
    workload: [{create: {path: new}}, {fsync_dir: /}, {mark: saved}]
    outcome: holds
  lost:
    workload: [{create: {path: new}}, {mark: saved}]
    outcome: {violates: missing}
";

#[test]
fn two_parts_with_two_rounds_each_are_merged_into_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (scenario, results) = (dir.path().join("scenario.yaml"), dir.path().join("results"));
    fs::write(&scenario, SCENARIO).unwrap();
    let (junit, markdown) = (dir.path().join("out.xml"), dir.path().join("out.md"));
    let mut runs = Vec::new();
    let mut cells = BTreeSet::new();
    for part in ["1/2", "2/2"] {
        let output = common::coldcut(&results)
            .arg("run")
            .arg(&scenario)
            .args([
                "-k", "6.12", "--jobs", "1", "--repeat", "2", "--shard", part, "--junit",
            ])
            .arg(&junit)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", common::text(&output));
        let latest = fs::canonicalize(results.join("latest")).unwrap();
        let (info, result) = (load_run(&latest).unwrap(), load_result(&latest).unwrap());
        assert_eq!(info.shard.unwrap().plan.len(), 4);
        for cell in &info.cells {
            assert!(cells.insert(cell.id.clone()), "{} is in both parts", cell.id);
        }
        // Rounds of a cell stay together.
        assert_eq!(result.cells.len() % 2, 0);
        let xml = fs::read_to_string(&junit).unwrap();
        assert_eq!(xml.matches("<testcase").count(), result.cells.len() / 2, "{xml}");
        assert!(!xml.contains("not-finished"), "{xml}");
        runs.push(latest);
    }
    assert_eq!(cells.len(), 4);
    let merged = common::coldcut(&results)
        .arg("merge")
        .args(&runs)
        .arg("--markdown")
        .arg(&markdown)
        .output()
        .unwrap();
    assert_eq!(merged.status.code(), Some(0), "{}", common::text(&merged));
    let latest = results.join("latest");
    let result = load_result(&latest).unwrap();
    assert_eq!(
        (result.totals.as_declared, result.cells.len(), result.flaky.len()),
        (2, 4, 0)
    );
    assert!(
        result
            .cells
            .iter()
            .all(|cell| cell.standing == Standing::AsDeclared)
    );
    let table = fs::read_to_string(&markdown).unwrap();
    assert!(
        table.contains("| holds (2 times) |") && table.contains("| violates missing (2 times) |"),
        "{table}"
    );
    // A state of a merged run can be replayed, in whichever part and round it was recorded.
    let lost = result
        .cells
        .iter()
        .find(|cell| cell.cell.id.ends_with("lost.6.12+r2"))
        .unwrap();
    let state = format!("latest/{}/{}", lost.cell.id, lost.violations[0].state);
    let replayed = common::coldcut(&results)
        .args(["replay", &state, "--jobs", "1"])
        .output()
        .unwrap();
    let text = common::text(&replayed);
    assert_eq!(replayed.status.code(), Some(1), "{text}");
    assert!(text.contains("missing: new does not exist"), "{text}");
}
