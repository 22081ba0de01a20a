//! What a user gets wrong, or a machine lacks, is said clearly: what, where, and what was expected.

use crate::common::{self, turn};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use coldcut::kernel::Store;
use coldcut::vm::machine::{Accel, AccelDecision, Machine, MachineError, Qemu};
use coldcut::vm::pool::machine_spec;

const STORY: &str = "scenarios/stories/3-rename-without-dir-fsync.yaml";

/// Runs coldcut, expects exit code 2, and gives what it said.
fn refused(configure: impl FnOnce(&mut Command)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut command = common::coldcut(dir.path());
    configure(&mut command);
    let output = command.output().unwrap();
    let said = common::text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

fn contains(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
}

#[test]
fn a_kernel_that_is_not_in_the_store() {
    let said = refused(|c| {
        c.args(["run", STORY, "--kernel", "4.19"]);
    });
    contains(&said, &["4.19", "6.12", "coldcut kernel pull 4.19"]);
}

#[test]
fn a_file_that_is_no_kernel() {
    let cache = tempfile::tempdir().unwrap();
    let said = refused(|c| {
        c.args(["kernel", "add", "--bzimage", "Cargo.toml", "--name", "mine"])
            .env("COLDCUT_CACHE", cache.path());
    });
    contains(&said, &["Cargo.toml", "bzImage"]);
}

#[test]
fn no_qemu_and_a_qemu_too_old() {
    let said = refused(|c| {
        c.args(["run", STORY, "-k", "6.12"])
            .env("COLDCUT_QEMU", "/nowhere/qemu");
    });
    contains(&said, &["/nowhere/qemu", "not installed", "qemu-system-x86"]);

    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("qemu");
    fs::write(&old, "#!/bin/sh\necho QEMU emulator version 5.2.0\n").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let said = refused(|c| {
        c.args(["run", STORY, "-k", "6.12"]).env("COLDCUT_QEMU", &old);
    });
    contains(&said, &["5.2.0", "7.2 or newer"]);
}

#[test]
fn a_scenario_with_mistakes_shows_each_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrong.yaml");
    let text = fs::read_to_string(common::root().join(STORY)).unwrap();
    let text = text
        .replacen("rename:", "renam:", 1)
        .replacen("after: saved", "after: savd", 1);
    fs::write(&path, text).unwrap();
    for command in [vec!["check"], vec!["run", "-k", "6.12"]] {
        let said = refused(|c| {
            c.args(command).arg(&path);
        });
        contains(&said, &["wrong.yaml:", "renam", "rename"]);
    }
}

#[test]
fn a_variant_a_run_and_a_state_that_are_not() {
    let said = refused(|c| {
        c.args(["run", STORY, "-k", "6.12", "--variant", "rename-ovr"]);
    });
    contains(&said, &["rename-ovr", "rename-over"]);
    contains(
        &refused(|c| {
            c.args(["show", "nothing"]);
        }),
        &["no run `nothing`"],
    );
    contains(
        &refused(|c| {
            c.args(["replay", "only-a-run"]);
        }),
        &["RUN/CELL/STATE"],
    );
}

/// A results directory without room: in a mount namespace of its own, so that nothing is left mounted.
#[test]
fn no_disk_space() {
    let dir = tempfile::tempdir().unwrap();
    let root = rustix::process::getuid().is_root();
    let script = "mount -t tmpfs -o size=64k tmpfs \"$1\" && shift && \"$@\"";
    let mut command = Command::new("unshare");
    command
        .current_dir(common::root())
        .env("COLDCUT_RESULTS", dir.path());
    command.args(if root {
        ["--mount"].as_slice()
    } else {
        &["--user", "--map-root-user", "--mount"]
    });
    command
        .args(["sh", "-c", script, "sh"])
        .arg(dir.path())
        .arg(env!("CARGO_BIN_EXE_coldcut"));
    command.args([
        "run",
        STORY,
        "-k",
        "6.12",
        "--variant",
        "rename-over",
        "--accel",
        "tcg",
    ]);
    let output = command.output().expect("unshare of util-linux is needed");
    let said = common::text(&output);
    let log = said.contains("write.log has ") && said.contains("left, which are kept for results");
    assert!(log, "what is full, and why nothing is written to it: {said}");
    assert_eq!(output.status.code(), Some(3), "{said}");
}

/// An `/init` that does nothing.
fn idle_program(dir: &Path) -> Vec<u8> {
    fs::write(
        dir.join("idle.c"),
        "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n",
    )
    .unwrap();
    let status = Command::new("cc")
        .current_dir(dir)
        .args(["-static", "-o", "idle", "idle.c"])
        .status();
    assert!(status.expect("cc is needed").success());
    fs::read(dir.join("idle")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_never_answers() {
    turn::take();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let kernel = Store::open_default()
        .unwrap()
        .find("6.12")
        .expect("`make kernels` gets kernel 6.12");
    let initrd = coldcut::vm::initramfs::build(&idle_program(dir.path()), &[], None).unwrap();
    fs::write(at("initrd"), initrd).unwrap();
    let tcg = AccelDecision {
        accel: Accel::Tcg,
        why: String::new(),
    };
    let spec = machine_spec(&kernel, at("initrd"), None, &tcg).unwrap();
    let qemu = Qemu::find().await.unwrap();
    let limit = Duration::from_secs(15);
    let error = Machine::boot(&qemu, &spec, Path::new(&at("console")), limit)
        .await
        .unwrap_err();
    assert!(matches!(error, MachineError::Boot { .. }), "{error}");
    contains(
        &error.to_string(),
        &["did not answer (boot) within 15 s", "console"],
    );
}

/// A kernel that panics says so, and does not cost a time-out.
#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_that_panics() {
    turn::take();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let kernel = Store::open_default()
        .unwrap()
        .find("6.12")
        .expect("`make kernels` gets kernel 6.12");
    fs::write(
        at("initrd"),
        coldcut::vm::initramfs::build(b"\x7fELF that no kernel can run", &[], None).unwrap(),
    )
    .unwrap();
    let tcg = AccelDecision {
        accel: Accel::Tcg,
        why: String::new(),
    };
    let spec = machine_spec(&kernel, at("initrd"), None, &tcg).unwrap();
    let qemu = Qemu::find().await.unwrap();
    let error = Machine::boot(&qemu, &spec, &at("console"), Duration::from_secs(180))
        .await
        .unwrap_err();
    contains(&error.to_string(), &["its kernel panicked: ", "Kernel panic"]);
}
