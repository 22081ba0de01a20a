//! Whatever is killed when, nothing is left behind: no QEMU, no socket, no temporary file.

use crate::common;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const STORY: &str = "scenarios/stories/3-rename-without-dir-fsync.yaml";

/// Process ids whose command line names a file below `dir`.
fn users_of(dir: &Path) -> Vec<String> {
    let needle = dir.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|p| {
            let line = fs::read(p.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(needle)
        })
        .map(|p| p.file_name().to_string_lossy().into_owned())
        .collect()
}

fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < limit,
            "{what}: not within {} s",
            limit.as_secs()
        );
        sleep(Duration::from_millis(50));
    }
}

/// Starts a run in a runtime directory of its own, and waits until its first QEMU is up.
fn start(base: &Path) -> Child {
    let runtime = base.join("run");
    fs::create_dir(&runtime).unwrap();
    let child = common::coldcut(&base.join("results"))
        .args(["run", STORY, "--kernel", "6.12", "--accel", "tcg"])
        .env("XDG_RUNTIME_DIR", &runtime)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("QEMU starts", Duration::from_secs(120), || {
        users_of(&runtime).len() >= 3
    });
    child
}

fn nothing_left_after(signal: Signal) {
    // Short enough a path for sockets, and on a disk with room.
    let base = tempfile::Builder::new().prefix("cc").tempdir_in("/tmp").unwrap();
    let mut child = start(base.path());
    kill_process(Pid::from_child(&child), signal).unwrap();
    let mut status = None;
    wait_until("coldcut ends", Duration::from_secs(60), || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert!(!status.unwrap().success());
    let runtime = base.path().join("run");
    wait_until("QEMU and the guard end", Duration::from_secs(30), || {
        users_of(&runtime).is_empty()
    });
    wait_until("the private directory goes away", Duration::from_secs(30), || {
        fs::read_dir(&runtime).unwrap().next().is_none()
    });
    // And the run that was interrupted can be looked at.
    let show = common::coldcut(&base.path().join("results"))
        .arg("show")
        .output()
        .unwrap();
    assert!(common::text(&show).contains("interrupted") || common::text(&show).contains("not finished"));
}

#[test]
fn after_ctrl_c() {
    nothing_left_after(Signal::INT);
}

#[test]
fn after_sigkill() {
    nothing_left_after(Signal::KILL);
}
