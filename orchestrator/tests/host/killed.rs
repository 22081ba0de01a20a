//! Whatever coldcut runs on the host ends with it, when coldcut is killed too: the program, and what the program runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::common;

const LIMIT: Duration = Duration::from_secs(60);

/// Starts coldcut with a `tool` that starts another process and never ends; kills coldcut, and waits until both are gone.
fn nothing_is_left_of(tool: &str, configure: impl FnOnce(&mut Command, &Path)) {
    let base = tempfile::tempdir().unwrap();
    let (bin, pids) = (base.path().join("bin"), base.path().join("pids"));
    fs::create_dir(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\ntrap '' INT TERM HUP\nsleep 1000 &\necho $$ $! >{0}.new\nmv {0}.new {0}\nwhile :; do wait; sleep 1; done\n",
        pids.display()
    );
    fs::write(bin.join(tool), script).unwrap();
    fs::set_permissions(bin.join(tool), fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = common::coldcut(&base.path().join("results"));
    command
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("COLDCUT_CACHE", base.path().join("cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(base.path().join("stderr")).unwrap());
    configure(&mut command, base.path());
    let mut coldcut = command.spawn().unwrap();
    let said = || fs::read_to_string(base.path().join("stderr")).unwrap_or_default();
    let start = Instant::now();
    while !pids.exists() {
        let ended = coldcut.try_wait().unwrap();
        assert!(ended.is_none(), "{tool} was not run: {}", said());
        assert!(start.elapsed() < LIMIT, "{tool} was not run: {}", said());
        std::thread::sleep(Duration::from_millis(20));
    }
    coldcut.kill().unwrap();
    coldcut.wait().unwrap();
    for pid in fs::read_to_string(&pids).unwrap().split_whitespace() {
        let stat = format!("/proc/{pid}/stat");
        let start = Instant::now();
        while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(start.elapsed() < LIMIT, "{tool} left {pid}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn apt() {
    nothing_is_left_of("apt-get", |coldcut, _| {
        coldcut.args(["kernel", "pull", "6.1"]);
    });
}

#[test]
fn make() {
    nothing_is_left_of("make", |coldcut, base| {
        let tree = base.join("tree");
        fs::create_dir_all(tree.join("arch/x86")).unwrap();
        for file in ["Makefile", "Kconfig"] {
            fs::write(tree.join(file), "").unwrap();
        }
        coldcut.args(["kernel", "build"]).arg(&tree);
    });
}

#[test]
fn git() {
    nothing_is_left_of("git", |coldcut, base| {
        coldcut.args(["bisect", "scenarios/stories/3-rename-without-dir-fsync.yaml"]);
        coldcut.args(["--variant", "rename-over"]);
        coldcut.args(["--good", "a", "--bad", "b", "--git"]).arg(base);
    });
}

#[test]
fn qemu() {
    nothing_is_left_of("qemu", |coldcut, base| {
        coldcut.arg("doctor").env("COLDCUT_QEMU", base.join("bin/qemu"));
    });
}
