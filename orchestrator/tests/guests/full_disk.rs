//! No guest fills the host's disk, and a full disk loses no finished cell.

use crate::common;
use std::process::Command;

use coldcut_core::outcome::result::RunResult;
use coldcut_core::outcome::verdict::{Standing, Verdict};

/// The first variant writes little, the second without end, as far as the disk is concerned.
const SCENARIO: &str = "
format: 1
name: fills
filesystem: {type: ext4, size: 256MiB}
crash: {at: [end]}
end: cut
expect:
  - exists: {path: a}
    after: written
variants:
  little:
    workload:
      - write: {path: a, len: 4KiB}
      - fsync: {path: a}
        label: written
    outcome: holds
  much:
    workload:
      - write: {path: a, len: 64MiB}
      - fsync: {path: a}
      - write: {path: b, len: 64MiB}
      - fsync: {path: b}
      - write: {path: c, len: 64MiB}
      - fsync: {path: c}
        label: written
    outcome: holds
";

fn judge(run: &RunResult, cause: &str) {
    assert_eq!(common::cell(run, "little", "6.12").standing, Standing::AsDeclared);
    let much = common::cell(run, "much", "6.12");
    assert!(
        matches!(&much.verdict, Verdict::Inconclusive { cause: why } if why.contains(cause)),
        "{much:#?}"
    );
}

#[test]
fn a_recording_that_is_too_large_is_inconclusive() {
    let dir = tempfile::tempdir().unwrap();
    let (code, run) = common::run_text(dir.path(), SCENARIO, &["-k", "6.12", "--max-recording", "32MiB"]);
    assert_eq!(code, 3);
    judge(&run, "--max-recording");
    let log = dir.path().join("results/latest/cells/fills.much.6.12/write.log");
    assert!(std::fs::metadata(log).unwrap().len() <= 32 << 20);
}

/// On a filesystem of 160 MiB, in a mount namespace of its own.
#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("results")).unwrap();
    std::fs::write(at("scenario.yaml"), SCENARIO).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=160m coldcut '{results}' || exit 77\n\
         '{coldcut}' run '{scenario}' -k 6.12 -j 1 2>&1\ncode=$?\ncp '{results}/latest/result.json' '{out}'\nexit $code",
        results = at("results").display(),
        coldcut = env!("CARGO_BIN_EXE_coldcut"),
        scenario = at("scenario.yaml").display(),
        out = at("result.json").display(),
    );
    common::turn::take();
    let mut command = Command::new("unshare");
    command
        .args(["-rm", "sh", "-c", &script])
        .current_dir(common::root());
    let output = command.env("COLDCUT_RESULTS", at("results")).output().unwrap();
    let text = common::text(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    let run = serde_json::from_slice(&std::fs::read(at("result.json")).expect(&text)).unwrap();
    judge(&run, "write.log has ");
}
