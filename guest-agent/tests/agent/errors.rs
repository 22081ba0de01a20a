//! Requests that must fail, clearly and without harm.

use coldcut_wire::*;

use crate::harness::{Agent, name};

fn path(text: &str) -> String {
    text.to_owned()
}

#[test]
fn nothing_works_before_a_mount() {
    let mut agent = Agent::unmounted();
    let text = "nothing is mounted: send a mount request first";
    assert_eq!(agent.op(Op::Syncfs).unwrap_err().what, text);
    assert_eq!(
        agent
            .op(Op::Unlink(op::Unlink { path: path("f") }))
            .unwrap_err()
            .what,
        text
    );
    assert_eq!(agent.ask(Request::Unmount).result.unwrap_err().what, text);
    let walk = WalkSpec {
        patterns: Vec::new(),
        data: true,
        max_entries: 1,
        max_bytes: 1,
        placed: false,
    };
    assert_eq!(agent.ask(Request::Walk(walk)).result.unwrap_err().what, text);
    agent.good(Op::Sync);
}

#[test]
fn mounts_that_cannot_be() {
    let mut agent = Agent::unmounted();
    let mut spec = agent.mount_spec();
    spec.flags = vec![path("noatime"), path("fast")];
    let failure = agent.ask(Request::Mount(spec.clone())).result.unwrap_err();
    assert!(
        failure
            .what
            .starts_with("mount flag `fast` is unknown; known are ro, sync"),
        "{failure:?}"
    );
    spec.flags.clear();
    spec.existing_dir = Some(path("/nonexistent"));
    assert_eq!(
        agent.ask(Request::Mount(spec.clone())).result.unwrap_err().errno,
        Some(2)
    );
    spec.existing_dir = None;
    spec.device = path("/dev/no-such-device");
    spec.wait_ms = 20;
    let failure = agent.ask(Request::Mount(spec)).result.unwrap_err();
    assert_eq!(
        failure.what,
        "wait 20 ms for /dev/no-such-device: No such file or directory"
    );
    let spec = agent.mount_spec();
    agent.ask(Request::Mount(spec.clone())).result.unwrap();
    assert!(
        agent
            .ask(Request::Mount(spec))
            .result
            .unwrap_err()
            .what
            .contains("mounted already")
    );
    agent.ask(Request::Unmount).result.unwrap();
}

#[test]
fn paths_cannot_leave_the_root() {
    let mut agent = Agent::new();
    for bad in ["/etc/passwd", "../socket", "a/../../socket", "a\0b"] {
        for op in [
            Op::Create(op::Create {
                path: path(bad),
                mode: 0o600,
                exclusive: false,
            }),
            Op::Truncate(op::Truncate {
                path: path(bad),
                size: 0,
            }),
            Op::Setxattr(op::Setxattr {
                path: path(bad),
                name: path("user.a"),
                value: Vec::new(),
            }),
            Op::Rename(op::Rename {
                from: path(bad),
                to: path("x"),
                mode: RenameMode::Replace,
            }),
            Op::Symlink(op::Symlink {
                target: path("x"),
                path: path(bad),
            }),
            Op::Fsync(op::Fsync {
                path: path(bad),
                directory: false,
            }),
            Op::Open(op::Open {
                path: path(bad),
                handle: path("h"),
                flags: WriteFlags::default(),
                read_only: true,
            }),
        ] {
            let failure = agent.op(op).unwrap_err();
            assert!(
                failure.errno.is_none() && failure.what.starts_with("path `"),
                "{failure:?}"
            );
        }
    }
    let rename = Op::Rename(op::Rename {
        from: path("fd:h"),
        to: path("x"),
        mode: RenameMode::Replace,
    });
    assert_eq!(
        agent.op(rename).unwrap_err().what,
        "`fd:h` is a handle, but a name is needed here"
    );
}

#[test]
fn the_kernels_refusals_are_passed_on() {
    let mut agent = Agent::new();
    agent.write("f", 0, 10, &name("f", "0"));
    let fdatasync = Op::Fdatasync(op::Fdatasync { path: path("none") });
    let no_such_file = (fdatasync, 2, "open none: No such file or directory");
    for (op, errno, what) in refusals().into_iter().chain([no_such_file]) {
        let failure = agent.op(op).unwrap_err();
        assert_eq!((failure.errno, failure.what.as_str()), (Some(errno), what));
    }
}

/// Operations, where there is only a file `f`, and how the kernel refuses them.
fn refusals() -> [(Op, i32, &'static str); 8] {
    [
        (
            Op::Unlink(op::Unlink { path: path("none") }),
            2,
            "unlink none: No such file or directory",
        ),
        (
            Op::Rmdir(op::Rmdir { path: path("f") }),
            20,
            "rmdir f: Not a directory",
        ),
        (
            Op::Link(op::Link {
                from: path("f"),
                to: path("f"),
            }),
            17,
            "link f f: File exists",
        ),
        (
            Op::Mkdir(op::Mkdir {
                path: path("f"),
                mode: 0,
                parents: true,
            }),
            17,
            "mkdir f: File exists",
        ),
        (
            Op::Mkdir(op::Mkdir {
                path: path("f/g"),
                mode: 0,
                parents: true,
            }),
            20,
            "mkdir f/g: Not a directory",
        ),
        (
            Op::Truncate(op::Truncate {
                path: path("f"),
                size: u64::MAX,
            }),
            27,
            "truncate f to 18446744073709551615: File too large",
        ),
        (
            Op::Fallocate(op::Fallocate {
                path: path("f"),
                mode: FallocateMode::PunchHole,
                offset: 0,
                len: 0,
            }),
            22,
            "fallocate f: Invalid argument",
        ),
        (
            Op::SyncFileRange(op::SyncFileRange {
                path: path("f"),
                offset: u64::MAX,
                len: 1,
                flags: SyncRangeFlags::default(),
            }),
            22,
            "sync_file_range f: Invalid argument",
        ),
    ]
}

#[test]
fn writes_that_cannot_be() {
    let mut agent = Agent::new();
    let write = |path: &str, offset, len, chunk| {
        Op::Write(op::Write {
            path: path.to_owned(),
            offset,
            len,
            chunk,
            pattern: name("f", "0"),
            flags: WriteFlags::default(),
        })
    };
    assert_eq!(
        agent.op(write("f", 0, 1, 0)).unwrap_err().what,
        "open f: No such file or directory"
    );
    agent.write("f", 0, 1, &name("f", "0"));
    let failure = agent.op(write("f", 0, 1 << 40, 0)).unwrap_err();
    assert!(failure.what.contains("set a smaller chunk"), "{failure:?}");
    for (offset, len) in [(u64::MAX, 1), (u64::MAX - 1, 4), (1 << 63, 1)] {
        assert_eq!(agent.op(write("f", offset, len, 1)).unwrap_err().errno, Some(27));
    }
    assert_eq!(std::fs::metadata(agent.root().join("f")).unwrap().len(), 1);
    // A full device, which /dev/full is: the failure says how far the write came.
    std::os::unix::fs::symlink("/dev/full", agent.root().join("full")).unwrap();
    let failure = agent.op(write("full", 4096, 100, 10)).unwrap_err();
    assert_eq!(
        (failure.errno, failure.what.as_str()),
        (Some(28), "write full at 4096: No space left on device")
    );
}

#[test]
fn the_machine_is_out_of_reach_of_wrong_names() {
    let mut agent = Agent::new();
    for name in ["", "vm", "vm..x", "../x.y", "vm/x.y"] {
        let op = Op::Sysctl(op::Sysctl {
            name: path(name),
            value: path("1"),
        });
        assert!(agent.op(op).is_err(), "{name:?}");
    }
    // What exists: written, or not ours to write (read-only in many containers).
    let current = std::fs::read_to_string("/proc/sys/vm/swappiness").unwrap();
    let op = Op::Sysctl(op::Sysctl {
        name: path("vm.swappiness"),
        value: current.trim().to_owned(),
    });
    if let Err(failure) = agent.op(op) {
        assert!(matches!(failure.errno, Some(1 | 13 | 30)), "{failure:?}");
    }
    assert_eq!(
        agent
            .op(Op::DropCaches(op::DropCaches { what: 9 }))
            .unwrap_err()
            .what,
        "drop_caches takes 1, 2 or 3, not 9"
    );
    let file = agent.root().join("f");
    std::fs::write(&file, "x").unwrap();
    let device = file.to_str().unwrap().to_owned();
    let failure = agent
        .ask(Request::FlushDevice { device, forget: None })
        .result
        .unwrap_err();
    assert_eq!(failure.errno, Some(25), "{failure:?}");
    let failure = agent
        .ask(Request::FlushDevice {
            device: path("/dev/none"),
            forget: None,
        })
        .result
        .unwrap_err();
    assert_eq!(failure.errno, Some(2), "{failure:?}");
}
