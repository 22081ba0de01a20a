//! `coldcut diff` on real kernels: within a run, and the same contents on another kernel.

use crate::common;
use std::process::Output;

const SCENARIO: &str = "
format: 1
name: saved
filesystem: {type: ext4, size: 32MiB}
workload:
  - write: {path: data, len: 8KiB, content: data@1}
  - fsync: data
    label: synced
expect:
  - content: {path: data, is: data@1}
    after: synced
end: cut
outcome: holds
";

#[test]
fn kernels_are_compared_at_the_same_points_and_on_the_same_contents() {
    let dir = tempfile::tempdir().unwrap();
    let (code, run) = common::run_text(dir.path(), SCENARIO, &["-k", "5.10,6.12", "--jobs", "1"]);
    assert_eq!(code, 0, "{run:#?}");
    let results = dir.path().join("results");
    let diff = |args: &[&str]| common::coldcut(&results).arg("diff").args(args).output().unwrap();
    let said = |output: &Output, words: &[&str]| {
        let said = common::text(output);
        for word in words {
            assert!(said.contains(word), "`{word}` is missing in: {said}");
        }
    };
    let output = diff(&["latest"]);
    // Two steps and the end, each with what is durable alone and with all that completed.
    said(
        &output,
        &[
            "saved default: 5.10.",
            "verdict: holds",
            "points: 6 compared, 0 differ",
            "sent to the disk",
        ],
    );

    let old = &run.cells[0].cell.id;
    let cell = format!("latest/{old}");
    let output = diff(&[&cell, "--on", "6.12", "--jobs", "1", "--most", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", common::text(&output));
    said(
        &output,
        &["recovered on 6.12.", "the same contents: 2 compared, 0 differ"],
    );

    // It sees a difference where there is one: here we make it.
    let recoveries = results.join("latest/cells").join(old).join("recoveries");
    let mut changed = 0;
    for file in std::fs::read_dir(recoveries).unwrap().flatten() {
        let text = std::fs::read_to_string(file.path()).unwrap();
        let other = text.replace("data@1", "data@0");
        changed += usize::from(other != text);
        std::fs::write(file.path(), other).unwrap();
    }
    assert!(changed > 0);
    let output = diff(&["latest"]);
    assert_eq!(output.status.code(), Some(1));
    said(
        &output,
        &[
            "data bytes 0+8192: data@0 | data@1",
            "`synced` was acknowledged, what is durable alone",
        ],
    );

    let output = diff(&[&cell]);
    assert_eq!(output.status.code(), Some(2));
    said(&output, &["no scenario ran on several kernels"]);
    assert_eq!(diff(&["latest/nonsense"]).status.code(), Some(2));
}
