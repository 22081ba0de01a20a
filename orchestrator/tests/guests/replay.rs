//! A run can be shown and replayed; what is damaged or foreign in it is said, and never judged.

use crate::common;
use std::fs;
use std::path::Path;
use std::process::Output;

use coldcut_core::outcome::verdict::Standing;

const STORY: &str = "scenarios/stories/3-rename-without-dir-fsync.yaml";

fn call(results: &Path, args: &[&str]) -> Output {
    common::coldcut(results).args(args).output().unwrap()
}

#[test]
fn a_violation_is_shown_and_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let results = dir.path();
    let (code, run) = common::run(
        results,
        &[STORY, "-k", "6.12", "--variant", "rename-new-name", "--jobs", "1"],
    );
    assert_eq!(code, 0);
    let cell = &run.cells[0];
    assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
    let violation = &cell.violations[0];
    let state = format!("{}/{}/{}", run.run, cell.cell.id, violation.state);

    let shown = common::text(&call(results, &["show", "latest"]));
    assert!(
        shown.contains(&violation.evidence) && shown.contains(&format!("coldcut replay {state}")),
        "{shown}"
    );
    let whole = common::text(&call(results, &["show", "latest", &cell.cell.id]));
    assert!(whole.contains("fresh") || whole.contains("cold"), "{whole}");

    let raw = dir.path().join("state.img");
    let output = call(results, &["replay", &state, "--raw", raw.to_str().unwrap()]);
    let said = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("missing: ") && said.contains("lost+found") && said.contains("mount     succeeded"),
        "{said}"
    );
    assert_eq!(fs::metadata(&raw).unwrap().len(), 64 << 20);

    // The same state on another kernel.
    let output = call(results, &["replay", &state, "--kernel", "5.10"]);
    assert_eq!(output.status.code(), Some(1), "{}", common::text(&output));
    assert!(
        common::text(&output).contains("kernel    5.10."),
        "{}",
        common::text(&output)
    );

    damaged(results, &run.run, &cell.cell.id, &state);
}

fn damaged(results: &Path, run: &str, cell: &str, state: &str) {
    let log = results.join(run).join("cells").join(cell).join("write.log");
    let whole = fs::read(&log).unwrap();
    let refused = |bytes: &[u8], word: &str| {
        fs::write(&log, bytes).unwrap();
        let output = call(results, &["replay", state]);
        let said = common::text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("write.log") && said.contains(word),
            "`{word}` is missing in: {said}"
        );
    };
    let mut altered = whole.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    refused(&altered, "is not what was recorded");
    // Runs of earlier coldcuts have no digests.
    fs::remove_file(log.with_file_name("recording.json")).unwrap();
    refused(&[], "log");
    refused(
        b"\x89PNG\r\n\x1a\n and so on, not a write log of any kind, padded with this text to a sector or so",
        "log",
    );
    let mut foreign = whole.clone();
    foreign[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    refused(&foreign, "not a dm-log-writes log");
    refused(&whole[..whole.len() / 2], "past the end of the log");
    fs::write(&log, &whole).unwrap();
    let info = results.join(run).join("run.json");
    let text = fs::read_to_string(&info)
        .unwrap()
        .replacen("\"format\": 1", "\"format\": 99", 1);
    fs::write(&info, text).unwrap();
    let said = common::text(&call(results, &["show", run]));
    assert!(said.contains("format 99"), "{said}");
}
