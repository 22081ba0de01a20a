//! Every operation, checked by what the host sees.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use coldcut_wire::pattern::Pattern;
use coldcut_wire::*;

use crate::harness::{Agent, name};

pub(crate) fn bytes(name: &PatternName, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Pattern::new(name).fill(at, &mut bytes);
    bytes
}

pub(crate) fn path(text: &str) -> String {
    text.to_owned()
}

#[test]
fn directories_and_names() {
    let mut agent = Agent::new();
    let root = agent.root();
    agent.good(Op::Mkdir(op::Mkdir {
        path: path("a/b/c"),
        mode: 0o1733,
        parents: true,
    }));
    agent.good(Op::Mkdir(op::Mkdir {
        path: path("a/b/c"),
        mode: 0o700,
        parents: true,
    }));
    let mode = std::fs::metadata(root.join("a/b/c"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(
        mode & 0o7777,
        0o1733,
        "the umask is 0, and an existing directory stays as it was"
    );
    assert_eq!(std::fs::metadata(root.join("a")).unwrap().mode() & 0o777, 0o755);

    agent.good(Op::Create(op::Create {
        path: path("a/f"),
        mode: 0o666,
        exclusive: true,
    }));
    assert_eq!(std::fs::metadata(root.join("a/f")).unwrap().mode() & 0o777, 0o666);
    let again = agent.op(Op::Create(op::Create {
        path: path("a/f"),
        mode: 0o666,
        exclusive: true,
    }));
    assert_eq!(again.unwrap_err().errno, Some(17));
    agent.good(Op::Create(op::Create {
        path: path("a/f"),
        mode: 0o600,
        exclusive: false,
    }));

    agent.good(Op::Link(op::Link {
        from: path("a/f"),
        to: path("a/g"),
    }));
    assert_eq!(std::fs::metadata(root.join("a/g")).unwrap().nlink(), 2);
    agent.good(Op::Symlink(op::Symlink {
        target: path("../nowhere"),
        path: path("a/s"),
    }));
    assert_eq!(
        std::fs::read_link(root.join("a/s")).unwrap().to_str(),
        Some("../nowhere")
    );
    agent.good(Op::Unlink(op::Unlink { path: path("a/g") }));
    assert!(!root.join("a/g").exists());
    agent.good(Op::Rmdir(op::Rmdir { path: path("a/b/c") }));
    assert!(!root.join("a/b/c").exists());
}

#[test]
fn rename_modes() {
    let mut agent = Agent::new();
    let root = agent.root();
    let rename = |from: &str, to: &str, mode| {
        Op::Rename(op::Rename {
            from: path(from),
            to: path(to),
            mode,
        })
    };
    for file in ["one", "two"] {
        agent.write(file, 0, 16, &name(file, "0"));
    }
    let failure = agent.op(rename("one", "two", RenameMode::NoReplace)).unwrap_err();
    assert_eq!(failure.errno, Some(17));
    assert_eq!(failure.what, "rename one two: File exists");
    agent.good(rename("one", "two", RenameMode::Exchange));
    assert_eq!(
        std::fs::read(root.join("one")).unwrap(),
        bytes(&name("two", "0"), 0, 16)
    );
    assert_eq!(
        std::fs::read(root.join("two")).unwrap(),
        bytes(&name("one", "0"), 0, 16)
    );
    agent.good(rename("one", "two", RenameMode::Replace));
    assert!(!root.join("one").exists());
    assert_eq!(
        std::fs::read(root.join("two")).unwrap(),
        bytes(&name("two", "0"), 0, 16)
    );
    agent.good(rename("two", "three", RenameMode::NoReplace));
    assert!(root.join("three").exists());
}

#[test]
fn writes_land_where_they_say() {
    let mut agent = Agent::new();
    let root = agent.root();
    let (old, new) = (name("f", "0"), name("f", "1"));
    let write = |offset, len, chunk, content: &PatternName, flags| {
        Op::Write(op::Write {
            path: path("f"),
            offset,
            len,
            chunk,
            pattern: content.clone(),
            flags,
        })
    };
    let create = WriteFlags {
        create: true,
        ..WriteFlags::default()
    };
    assert_eq!(agent.good(write(0, 10_000, 777, &old, create)), 10_000);
    assert_eq!(agent.good(write(100, 5, 0, &new, WriteFlags::default())), 5);
    let mut expected = bytes(&old, 0, 10_000);
    expected[100..105].copy_from_slice(&bytes(&new, 100, 5));
    assert_eq!(std::fs::read(root.join("f")).unwrap(), expected);

    let append = WriteFlags {
        append: true,
        ..WriteFlags::default()
    };
    agent.good(write(3, 2000, 600, &new, append));
    expected.extend(bytes(&new, 10_000, 2000));
    assert_eq!(std::fs::read(root.join("f")).unwrap(), expected);

    // In small calls through io_submit(2); without O_DIRECT they are as good as synchronous.
    let queued = WriteFlags {
        aio: true,
        ..WriteFlags::default()
    };
    agent.good(write(0, 4096, 512, &new, queued));
    expected[..4096].copy_from_slice(&bytes(&new, 0, 4096));
    assert_eq!(std::fs::read(root.join("f")).unwrap(), expected);

    let synced = WriteFlags {
        truncate: true,
        sync: true,
        dsync: true,
        ..WriteFlags::default()
    };
    agent.good(write(0, 0, 0, &new, synced));
    assert_eq!(std::fs::read(root.join("f")).unwrap(), b"");
}

#[test]
fn direct_writes_work_or_are_refused_by_the_filesystem() {
    let mut agent = Agent::new();
    let new = name("f", "1");
    let flags = WriteFlags {
        create: true,
        direct: true,
        ..WriteFlags::default()
    };
    let write = |offset, len| {
        Op::Write(op::Write {
            path: path("f"),
            offset,
            len,
            chunk: 8192,
            pattern: name("f", "1"),
            flags,
        })
    };
    match agent.op(write(4096, 40_960)) {
        Ok(written) => {
            assert_eq!(written, 40_960);
            let data = std::fs::read(agent.root().join("f")).unwrap();
            assert_eq!(data[4096..], bytes(&new, 4096, 40_960));
        }
        Err(failure) => assert_eq!(failure.errno, Some(22), "{failure:?}"),
    }
}

/// Opens `log`, to append, as the handle `h`.
fn open_log() -> Op {
    Op::Open(op::Open {
        path: path("log"),
        handle: path("h"),
        flags: WriteFlags {
            create: true,
            append: true,
            ..WriteFlags::default()
        },
        read_only: false,
    })
}

/// Writes 700 bytes through the handle `h`.
fn write_log(flags: WriteFlags) -> Op {
    Op::Write(op::Write {
        path: path("fd:h"),
        offset: 0,
        len: 700,
        chunk: 300,
        pattern: name("log", "0"),
        flags,
    })
}

#[test]
fn a_handle_keeps_its_flags() {
    let mut agent = Agent::new();
    let root = agent.root();
    let content = name("log", "0");
    agent.good(open_log());
    agent.good(write_log(WriteFlags::default()));
    agent.good(write_log(WriteFlags {
        create: true,
        ..WriteFlags::default()
    }));
    assert_eq!(std::fs::read(root.join("log")).unwrap(), bytes(&content, 0, 1400));
    let failure = agent
        .op(write_log(WriteFlags {
            direct: true,
            ..WriteFlags::default()
        }))
        .unwrap_err();
    assert!(failure.what.contains("keeps the flags"), "{failure:?}");
}

#[test]
fn a_handle_is_as_good_as_a_path() {
    let mut agent = Agent::new();
    let root = agent.root();
    agent.good(open_log());
    agent.good(write_log(WriteFlags::default()));
    for op in [
        Op::Fsync(op::Fsync {
            path: path("fd:h"),
            directory: false,
        }),
        Op::Fdatasync(op::Fdatasync { path: path("fd:h") }),
        Op::Truncate(op::Truncate {
            path: path("fd:h"),
            size: 10,
        }),
        Op::Chmod(op::Chmod {
            path: path("fd:h"),
            mode: 0o640,
        }),
        Op::Utimes(op::Utimes {
            path: path("fd:h"),
            atime_ns: 1,
            mtime_ns: 5_000_000_007,
        }),
    ] {
        agent.good(op);
    }
    let meta = std::fs::metadata(root.join("log")).unwrap();
    assert_eq!((meta.len(), meta.mode() & 0o7777), (10, 0o640));
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (5, 7));
    let not_a_directory = agent.op(Op::Fsync(op::Fsync {
        path: path("fd:h"),
        directory: true,
    }));
    assert_eq!(not_a_directory.unwrap_err().errno, Some(20));
}

#[test]
fn a_handle_outlives_its_name_and_unmounting_closes_it() {
    let mut agent = Agent::new();
    agent.good(open_log());
    agent.good(Op::Unlink(op::Unlink { path: path("log") }));
    agent.good(write_log(WriteFlags::default()));
    let open = || {
        std::fs::read_dir(format!("/proc/{}/fd", agent.pid()))
            .unwrap()
            .count()
    };
    let before = open();
    agent.ask(Request::Unmount).result.unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", agent.pid()))
        .unwrap()
        .count();
    assert_eq!(open, before - 2, "the handle and the root are closed");
}

#[test]
fn close_forgets_the_handle() {
    let mut agent = Agent::new();
    let open = || {
        Op::Open(op::Open {
            path: path(""),
            handle: path("dir"),
            flags: WriteFlags::default(),
            read_only: true,
        })
    };
    agent.good(open());
    assert!(agent.op(open()).unwrap_err().what.contains("open already"));
    agent.good(Op::Fsync(op::Fsync {
        path: path("fd:dir"),
        directory: true,
    }));
    agent.good(Op::Close(op::Close { handle: path("dir") }));
    let failure = agent
        .op(Op::Close(op::Close { handle: path("dir") }))
        .unwrap_err();
    assert_eq!(failure.what, "no handle `dir` is open (open are: none)");
}

#[test]
fn attributes() {
    let mut agent = Agent::new();
    let root = agent.root();
    agent.write("f", 0, 10, &name("f", "0"));
    agent.good(Op::Symlink(op::Symlink {
        target: path("f"),
        path: path("s"),
    }));
    agent.good(Op::Chmod(op::Chmod {
        path: path("f"),
        mode: 0o4751,
    }));
    let meta = std::fs::metadata(root.join("f")).unwrap();
    assert_eq!(meta.mode() & 0o7777, 0o4751);
    agent.good(Op::Utimes(op::Utimes {
        path: path("f"),
        atime_ns: 1_500_000_000,
        mtime_ns: -1,
    }));
    let meta = std::fs::metadata(root.join("f")).unwrap();
    assert_eq!((meta.atime(), meta.atime_nsec()), (1, 500_000_000));
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (-1, 999_999_999));
    // A link's own owner changes, not its target's; -1 changes nothing.
    let (uid, gid) = (meta.uid(), meta.gid());
    agent.good(Op::Chown(op::Chown {
        path: path("s"),
        uid,
        gid,
    }));
    agent.good(Op::Chown(op::Chown {
        path: path("s"),
        uid: u32::MAX,
        gid: u32::MAX,
    }));
    match agent.op(Op::Chown(op::Chown {
        path: path("s"),
        uid: 1234,
        gid: 4321,
    })) {
        Ok(_) => {
            let link = std::fs::symlink_metadata(root.join("s")).unwrap();
            assert_eq!((link.uid(), link.gid()), (1234, 4321));
            assert_eq!(std::fs::metadata(root.join("f")).unwrap().uid(), uid);
        }
        Err(failure) => assert_eq!(failure.errno, Some(1), "{failure:?}"),
    }
}

#[test]
fn extended_attributes() {
    let mut agent = Agent::new();
    agent.write("f", 0, 10, &name("f", "0"));
    let set = Op::Setxattr(op::Setxattr {
        path: path("f"),
        name: path("user.note"),
        value: b"\0raw".to_vec(),
    });
    match agent.op(set) {
        Ok(_) => {
            let entries = agent.walk(&[]);
            let file = entries.iter().find(|entry| entry.path == b"f").unwrap();
            assert!(
                file.xattrs.contains(&("user.note".to_owned(), b"\0raw".to_vec())),
                "{:?}",
                file.xattrs
            );
            agent.good(Op::Removexattr(op::Removexattr {
                path: path("f"),
                name: path("user.note"),
            }));
            let gone = agent.op(Op::Removexattr(op::Removexattr {
                path: path("f"),
                name: path("user.note"),
            }));
            assert_eq!(gone.unwrap_err().errno, Some(61));
        }
        Err(failure) => assert_eq!(failure.errno, Some(95), "{failure:?}"),
    }
}

#[test]
fn durability_calls_answer() {
    let mut agent = Agent::new();
    agent.write("f", 0, 4096, &name("f", "0"));
    for op in [
        Op::Fsync(op::Fsync {
            path: path("f"),
            directory: false,
        }),
        Op::Fsync(op::Fsync {
            path: path(""),
            directory: true,
        }),
        Op::Fsync(op::Fsync {
            path: path("."),
            directory: false,
        }),
        Op::Fdatasync(op::Fdatasync { path: path("f") }),
        Op::Syncfs,
        Op::Sync,
        Op::SyncFileRange(op::SyncFileRange {
            path: path("f"),
            offset: 0,
            len: 4096,
            flags: SyncRangeFlags {
                wait_before: true,
                write: true,
                wait_after: true,
            },
        }),
        Op::Sleep(op::Sleep { millis: 1 }),
    ] {
        assert_eq!(agent.good(op), 0);
    }
    let failure = agent
        .op(Op::Fsync(op::Fsync {
            path: path("f"),
            directory: true,
        }))
        .unwrap_err();
    assert_eq!(failure.errno, Some(20), "{failure:?}");
}

#[test]
fn sleep_is_timed() {
    let mut agent = Agent::new();
    let done = agent
        .ask(Request::Op(Op::Sleep(op::Sleep { millis: 30 })))
        .result
        .unwrap();
    let Done::Op { nanos, .. } = done else {
        panic!("{done:?}")
    };
    assert!((30_000_000..10_000_000_000).contains(&nanos), "{nanos}");
}
