//! What the kernel says during a recovery is read and judged: `dmesg_free` is not a promise about an empty log.

use crate::common::{self, scenarios};
use coldcut_core::outcome::recovery::Recovery;
use coldcut_core::outcome::verdict::{Verdict, ViolationKind};

const VARIANTS: &str = "variants:
  said:
    expect:
      - content: {path: data, is: data@1}
        after: synced
      - dmesg_free: [\"EXT4-fs (vda): mounted filesystem\"]
    outcome: {violates: dmesg}
  not-said:
    expect:
      - content: {path: data, is: data@1}
        after: synced
      - dmesg_free: [\"EXT4-fs error\", \"XFS (vda)\"]
    outcome: holds
";

#[test]
fn the_log_of_the_recovery_is_read_and_judged() {
    let dir = tempfile::tempdir().unwrap();
    let (code, run) = common::run_text(
        dir.path(),
        &scenarios::what_ext4_says(VARIANTS),
        &["-k", "6.1", "--jobs", "1"],
    );
    assert_eq!(code, 0, "{run:#?}");
    let said = common::cell(&run, "said", "6.1");
    let kinds = vec![ViolationKind::Dmesg];
    assert_eq!(said.verdict, Verdict::Violation { kinds }, "{said:#?}");
    assert_eq!(common::cell(&run, "not-said", "6.1").verdict, Verdict::Pass);

    let recoveries = dir
        .path()
        .join("results/latest/cells")
        .join(&said.cell.id)
        .join("recoveries");
    for file in std::fs::read_dir(recoveries).unwrap() {
        let recovery: Recovery =
            serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        let lines: Vec<&str> = recovery.dmesg.iter().map(|l| l.text.as_str()).collect();
        assert!(
            lines.iter().any(|l| l.contains("mounted filesystem")),
            "{lines:?}"
        );
        assert!(
            !lines.iter().any(|l| l.contains("Linux version")),
            "from before the mount: {lines:?}"
        );
    }
}
