//! `coldcut log` on a log in files, against qemu-img and a shell.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use coldcut_core::recording::io::{Io, IoKind, IoLog as _};
use coldcut_core::recording::log::Recorder;
use coldcut_core::recording::mark::{Mark, StepName};

const DEVICE: u64 = 1 << 20;

struct Recorded {
    dir: tempfile::TempDir,
}

/// Block 1 = 'a', acknowledged and then flushed; block 2 = 'b', acknowledged and never flushed; block 1 discarded last.
fn recorded() -> Recorded {
    let dir = tempfile::tempdir().unwrap();
    let create = |name: &str| File::create(dir.path().join(name)).unwrap();
    let mut recorder = Recorder::new(create("log"), create("log.order"), DEVICE, 4096).unwrap();
    let request = |kind, block: u64, fill: u8| {
        let flush = kind == IoKind::Flush;
        let io = Io {
            kind,
            offset: block * 4096,
            len: if flush { 0 } else { 4096 },
            fua: false,
        };
        let data = if kind == IoKind::Write {
            vec![fill; 4096]
        } else {
            Vec::new()
        };
        (io, Bytes::from(data))
    };
    let step = |index| StepName {
        index,
        name: format!("step{index}"),
    };
    let mut run = |(io, data): (Io, Bytes), mark: u32| {
        recorder.mark(&Mark::Begin(step(mark))).unwrap();
        let id = recorder.submit(io, data).unwrap();
        recorder.complete(id).unwrap();
        recorder.mark(&Mark::Done(step(mark))).unwrap();
    };
    run(request(IoKind::Write, 1, b'a'), 0);
    run(request(IoKind::Flush, 0, 0), 1);
    run(request(IoKind::Write, 2, b'b'), 2);
    run(request(IoKind::Discard, 1, 0), 3);
    recorder.finish().unwrap();
    fs::write(dir.path().join("base"), vec![b'.'; DEVICE as usize]).unwrap();
    Recorded { dir }
}

impl Recorded {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_coldcut"))
            .arg("log")
            .args(args)
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    fn stdout(&self, args: &[&str]) -> String {
        let output = self.log(args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The first byte of blocks 0 to 3 of an image.
    fn blocks(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap();
        assert_eq!(bytes.len() as u64, DEVICE, "{name}");
        (0..4).map(|block| char::from(bytes[block * 4096])).collect()
    }
}

#[test]
fn a_log_is_described() {
    let recorded = recorded();
    insta::assert_snapshot!(recorded.stdout(&["info", "log"]));
    insta::assert_snapshot!(recorded.stdout(&["entries", "log"]));
    insta::assert_snapshot!(recorded.stdout(&["epochs", "log"]));
    insta::assert_snapshot!(recorded.stdout(&[
        "states",
        "log",
        "--base",
        "base",
        "--plan",
        "barriers,reorder",
        "--digests",
        "--json"
    ]));
    let info: serde_json::Value = serde_json::from_str(&recorded.stdout(&["info", "log", "--json"])).unwrap();
    assert_eq!(info["entries"], 12);
}

#[test]
fn a_state_comes_out_as_raw_and_as_qcow2() {
    let recorded = recorded();
    // Entries: begin, write, done, begin, flush, done, begin, write, done, begin, discard, done.
    for (entry, blocks) in [(0, "...."), (1, ".a.."), (7, ".ab."), (10, ".\0b.")] {
        let entry = entry.to_string();
        let output = recorded.log(&[
            "export",
            "log",
            "--base",
            "base",
            "--at-entry",
            &entry,
            "--raw",
            "raw",
            "--qcow2",
            "qcow2",
        ]);
        assert!(!output.status.success(), "one image at a time");
        recorded.stdout(&[
            "export",
            "log",
            "--base",
            "base",
            "--at-entry",
            &entry,
            "--raw",
            "raw",
        ]);
        assert_eq!(recorded.blocks("raw"), blocks);
        recorded.stdout(&[
            "export",
            "log",
            "--base",
            "base",
            "--at-entry",
            &entry,
            "--qcow2",
            "qcow2",
        ]);
        let qemu_img = |args: &[&str]| {
            let output = Command::new("qemu-img")
                .args(args)
                .current_dir(recorded.dir.path())
                .output();
            let output = output.expect("qemu-img (Debian package qemu-utils) is needed");
            assert!(output.status.success(), "{args:?}: {output:?}");
        };
        qemu_img(&["check", "-f", "qcow2", "qcow2"]);
        qemu_img(&["compare", "-f", "raw", "-F", "qcow2", "raw", "qcow2"]);
    }
    // The same place, cut: without a flush, b need not be there.
    let states = recorded.stdout(&["states", "log", "--at", "step2"]);
    let durable = states
        .lines()
        .find(|id| id.starts_with('a') && id.ends_with("-d"))
        .unwrap();
    recorded.stdout(&[
        "export", "log", "--base", "base", "--state", durable, "--raw", "raw",
    ]);
    assert_eq!(recorded.blocks("raw"), ".a..");
}

#[test]
fn a_log_goes_out_in_either_order_and_comes_back() {
    let recorded = recorded();
    recorded.stdout(&["export", "log", "--to-log", "kernel", "--order", "kernel"]);
    recorded.stdout(&[
        "export",
        "log",
        "--to-log",
        "cut",
        "--at-entry",
        "7",
        "--range",
        "8192",
        "12288",
        "--no-marks",
    ]);
    insta::assert_snapshot!(recorded.stdout(&["entries", "kernel"]));
    insta::assert_snapshot!(recorded.stdout(&["entries", "cut"]));
    recorded.stdout(&["import", "kernel", "again"]);
    let (kernel, again) = (
        fs::read(recorded.path("kernel")),
        fs::read(recorded.path("again")),
    );
    assert!(
        kernel.unwrap() == again.unwrap(),
        "an import changes nothing in a log that names its order"
    );
    let refused = recorded.log(&["export", "kernel", "--to-log", "back", "--order", "completion"]);
    assert!(!refused.status.success());
    // The same content at the end, by digest.
    let last = |log: &str, entry: &str| {
        let line = recorded.stdout(&["hash", log, "--base", "base", "--at-entry", entry]);
        line.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(last("log", "11"), last("kernel", "12"));
    assert_ne!(last("log", "11"), last("log", "5"));
}

/// A checker that wants 'b' whenever step 2 is done sees it lost, however it gets the state.
#[test]
fn a_checker_of_ones_own_judges_every_state() {
    let recorded = recorded();
    let base = ["check", "log", "--base", "base", "--exec"];
    let with = |exec: &str, more: &[&str]| recorded.log(&[&base[..], &[exec], more].concat());
    let holds_b = "dd if={} bs=4096 skip=2 count=1 status=none | grep -q bbbb";
    let lost = with(holds_b, &["--between", "step2", "step3"]);
    assert_eq!(lost.status.code(), Some(1), "{lost:?}");
    let text = String::from_utf8(lost.stdout).unwrap();
    assert!(text.contains("-d: bad, exit code 1"), "{text}");
    assert!(
        text.contains("2 good, 2 bad, 0 inconclusive; 3 distinct contents"),
        "{text}"
    );
    // Block 0 is never written: every state is good.
    let untouched = "test \"$(dd if={} bs=1 count=1 status=none)\" = .";
    assert_eq!(
        with(untouched, &["--plan", "barriers,reorder"]).status.code(),
        Some(0)
    );
    let qcow2 = "qemu-img convert -f qcow2 -O raw {} {}.raw && cmp -n 4096 {}.raw base";
    assert_eq!(with(qcow2, &["--via", "qcow2"]).status.code(), Some(0));
    let nbd =
        "qemu-img convert -f raw -O raw nbd+unix:///?socket={} {state}.raw && cmp -n 4096 {state}.raw base";
    assert_eq!(with(nbd, &["--via", "nbd"]).status.code(), Some(0));
    // What could not be asked is neither good nor bad.
    assert_eq!(
        with("sleep 100", &["--timeout", "1", "--budget", "1"])
            .status
            .code(),
        Some(3)
    );
    assert_eq!(
        with("no-such-checker {}", &["--budget", "1"]).status.code(),
        Some(3)
    );
}

/// What is lost after an acknowledgement may be what was good before it: the checker is told which.
#[test]
fn a_checker_knows_what_was_done_before_the_cut() {
    let recorded = recorded();
    let exec = "test -f \"$COLDCUT_ACKED\" && { ! grep -q '^done 2 ' \"$COLDCUT_MARKS\" || \
                dd if={} bs=4096 skip=2 count=1 status=none | grep -q bbbb; }";
    let check = |more: &[&str]| {
        let args = ["check", "log", "--base", "base", "--exec", exec];
        recorded.log(&[&args[..], more].concat()).status.code()
    };
    assert_eq!(check(&[]), Some(1), "the block is lost after its step was done");
    // The same content was there before.
    assert_eq!(check(&["--per-content"]), Some(0));
}

/// How many checkers run at once changes nothing in what is reported, whichever ends first.
#[test]
fn the_number_of_jobs_changes_no_answer() {
    let recorded = recorded();
    // Later states are faster; some are bad, and each says its name.
    let exec = "n=$(echo {state} | tr -dc 0-9); echo {state}; sleep 0.$((9 - n % 10)); \
                dd if={} bs=4096 skip=2 count=1 status=none | grep -q bbbb";
    for more in [&["--json"][..], &[], &["--first"]] {
        let with = |jobs: &str| {
            let args = [
                "check",
                "log",
                "--base",
                "base",
                "--plan",
                "barriers,writes,reorder",
            ];
            let output = recorded.log(&[&args[..], &["--jobs", jobs, "--exec", exec], more].concat());
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let (one, many) = (with("1"), with("5"));
        assert_eq!(one, many, "{more:?}");
        assert!(one.contains("bad"), "{one}");
    }
}

/// A checker that waits for another one of the same run needs two at once.
#[test]
fn jobs_run_at_once() {
    let recorded = recorded();
    fs::create_dir(recorded.path("met")).unwrap();
    let exec = "touch met/{state}; for i in $(seq 100); do [ $(ls met | wc -l) -ge 2 ] && exit 0; sleep 0.1; done; exit 1";
    let check = |jobs: &str, more: &[&str]| {
        let args = ["check", "log", "--base", "base", "--exec", exec, "--jobs", jobs];
        recorded.log(&[&args[..], more].concat()).status.code()
    };
    assert_eq!(check("2", &[]), Some(0));
    fs::remove_dir_all(recorded.path("met")).unwrap();
    fs::create_dir(recorded.path("met")).unwrap();
    assert_eq!(check("1", &["--first"]), Some(1));
}

/// Whatever ends a check early, no checker and no file outlives it.
#[test]
fn nothing_is_left_of_a_check_that_ends_early() {
    let recorded = recorded();
    let (pids, runtime) = (recorded.path("pids"), recorded.path("runtime"));
    // The first state is bad once two others are being checked; those would go on for ever.
    let exec = "echo $$ >pids/{state}; [ {state} = \"$FIRST\" ] || exec sleep 1000; \
                while [ $(ls pids | wc -l) -lt 3 ]; do sleep 0.05; done; exit 1";
    for (first, signal, code) in [
        ("b0-d", None, Some(1)),
        ("none", Some("INT"), Some(130)),
        ("none", Some("TERM"), Some(143)),
        ("none", Some("KILL"), None),
    ] {
        for dir in [&pids, &runtime] {
            let _ = fs::remove_dir_all(dir);
            fs::create_dir(dir).unwrap();
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_coldcut"))
            .args([
                "log",
                "check",
                "log",
                "--base",
                "base",
                "--plan",
                "barriers,reorder",
            ])
            .args(["--first", "--jobs", "3", "--timeout", "1000", "--exec", exec])
            .current_dir(recorded.dir.path())
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("FIRST", first)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let started = || fs::read_dir(&pids).unwrap().count();
        until("three checkers run", || started() == 3);
        if let Some(signal) = signal {
            let pid = child.id().to_string();
            assert!(
                Command::new("kill")
                    .args(["-s", signal, &pid])
                    .status()
                    .unwrap()
                    .success()
            );
        }
        assert_eq!(child.wait().unwrap().code(), code, "{first} {signal:?}");
        for entry in fs::read_dir(&pids).unwrap() {
            let pid = fs::read_to_string(entry.unwrap().path()).unwrap();
            let stat = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
            until("the checker is gone", || {
                fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
            });
        }
        until("no file is left", || fs::read_dir(&runtime).unwrap().count() == 0);
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("not in 30 s: {what}");
}

#[test]
fn what_is_no_log_is_refused() {
    let recorded = recorded();
    let output = recorded.log(&["info", "base"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("not a dm-log-writes log"), "{text}");
    assert!(Path::new(&recorded.path("log")).exists());
}
