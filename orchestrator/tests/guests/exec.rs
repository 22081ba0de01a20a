//! A program in the guest says what it has acknowledged; and a filesystem of the user's own is used.

use crate::common;
use std::fs;
use std::path::Path;
use std::process::Command;

use coldcut_core::outcome::verdict::{Standing, Verdict, ViolationKind};

/// Compiles the program into a new directory.
fn compile(programs: &Path) {
    common::compile("program", &programs.join("recorder"));
}

fn make_image(path: &Path) {
    let file = fs::File::create(path).unwrap();
    file.set_len(32 << 20).unwrap();
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-b", "1024"]).arg(path);
    command.env(
        "PATH",
        format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()),
    );
    assert!(command.status().expect("mke2fs is needed").success());
}

const SCENARIO: &str = r#"
format: 1
name: recorder
summary: A program that says what it has made durable.
filesystem: {type: ext4, image: disk.img}
programs: programs
crash: {plan: barriers}
end: cut
setup:
  - create: {path: here}
expect:
  - exists: {path: record-1}
    after: {line: "1"}
  - exists: {path: record-2}
    after: {line: "2"}
  - exists: {path: record-4}
    after: {line: "4"}
  - exists: {path: here}
variants:
  durable:
    workload:
      - exec: {argv: [recorder], mark_prefix: "ack ", timeout: 60s}
    outcome: holds
  early:
    summary: Acknowledges before it fsyncs.
    workload:
      - exec: {argv: [recorder, early], mark_prefix: "ack ", timeout: 60s}
    outcome: {violates: missing}
  fails:
    workload:
      - exec: {argv: [recorder]}
      - exec: {argv: [recorder]}
    expect:
      - exists: {path: here}
    outcome: holds
"#;

#[test]
fn what_a_program_acknowledges_is_held_against_it() {
    let dir = tempfile::tempdir().unwrap();
    compile(&dir.path().join("programs"));
    make_image(&dir.path().join("disk.img"));
    let before = blake3::hash(&fs::read(dir.path().join("disk.img")).unwrap());
    let (code, run) = common::run_text(dir.path(), SCENARIO, &["-k", "6.12"]);
    for variant in ["durable", "early"] {
        let cell = common::cell(&run, variant, "6.12");
        assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
    }
    let early = common::cell(&run, "early", "6.12");
    assert_eq!(
        early.verdict,
        Verdict::Violation {
            kinds: vec![ViolationKind::Missing]
        }
    );
    // The second run of the program finds its files there already: a step that failed makes the cell Inconclusive.
    let fails = common::cell(&run, "fails", "6.12");
    assert!(
        matches!(&fails.verdict, Verdict::Inconclusive { cause } if cause.contains("ended with 1")),
        "{fails:#?}"
    );
    assert_eq!(code, 3, "nothing wrong, something inconclusive");
    assert_eq!(
        blake3::hash(&fs::read(dir.path().join("disk.img")).unwrap()),
        before,
        "the user's image was changed"
    );
}

/// With `rootfs` the program's `/` is that directory, and its working directory is the filesystem under test.
#[test]
fn a_program_runs_in_a_root_of_its_own() {
    let scenario = r#"
format: 1
name: own-root
filesystem: {type: ext4, size: 16MiB}
rootfs: tree
crash: {at: [end]}
workload:
  - exec: {argv: [/opt/tools/recorder], mark_prefix: "ack ", timeout: 60s}
variants:
  kept:
    expect:
      - exists: {path: record-4}
        after: {line: "4"}
    outcome: holds
  never-written:
    summary: Shows that the program's lines are heard and its files looked for.
    expect:
      - exists: {path: record-5}
        after: {line: "4"}
    outcome: {violates: missing}
"#;
    let dir = tempfile::tempdir().unwrap();
    compile(&dir.path().join("tree/opt/tools"));
    let (code, run) = common::run_text(dir.path(), scenario, &["-k", "6.12"]);
    for variant in ["kept", "never-written"] {
        let cell = common::cell(&run, variant, "6.12");
        assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
        assert!(cell.obligations > 0, "{cell:#?}");
    }
    assert_eq!(code, 0);
}

/// A program that is root in the guest reaches neither the agent nor the port by which it answers, nor the console; it finds the
/// filesystem under test, its own processes and the usual devices.
#[test]
fn a_program_cannot_speak_for_the_agent() {
    let scenario = r#"
format: 1
name: attacker
filesystem: {type: ext4, size: 16MiB}
PLACE
crash: {at: [end]}
workload:
  - exec: {argv: [/PATH/attacker], mark_prefix: "ack ", timeout: 60s}
  - exec: {argv: [/PATH/attacker], mark_prefix: "again ", timeout: 60s}
  - exec: {argv: [/PATH/recorder], mark_prefix: "ack ", timeout: 60s}
expect:
  - exists: {path: record-4}
    after: {line: "4"}
"#;
    let every = ["5.10", "6.1", "6.12", "7"];
    for (place, path, kernels) in [
        ("programs", "programs", &every[..]),
        ("rootfs", "opt/tools", &["6.12"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let programs = dir.path().join(if place == "rootfs" {
            "tree/opt/tools"
        } else {
            "tree"
        });
        compile(&programs);
        common::compile("attacker", &programs.join("attacker"));
        let text = scenario
            .replace("PLACE", &format!("{place}: tree"))
            .replace("PATH", path);
        for &kernel in kernels {
            let (_, run) = common::run_text(dir.path(), &text, &["-k", kernel]);
            let cell = &run.cells[0];
            assert_eq!(cell.standing, Standing::AsDeclared, "{place} {kernel}: {cell:#?}");
        }
    }
}
