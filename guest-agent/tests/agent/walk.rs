//! What a walk reports.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};

use coldcut_wire::*;

use crate::harness::{Agent, content, entries, extent, name};

fn spec(max_entries: u32, max_bytes: u64) -> Request {
    Request::Walk(WalkSpec {
        patterns: Vec::new(),
        data: true,
        max_entries,
        max_bytes,
        placed: false,
    })
}

#[test]
fn the_order_and_the_metadata() {
    let mut agent = Agent::new();
    let root = agent.root();
    std::fs::create_dir_all(root.join("b/deep")).unwrap();
    std::fs::write(root.join("b/deep/file"), "text").unwrap();
    std::fs::write(root.join("b-"), "").unwrap();
    std::fs::hard_link(root.join("b-"), root.join("B")).unwrap();
    std::os::unix::fs::symlink("b/deep", root.join("link")).unwrap();
    let raw = std::ffi::OsStr::from_bytes(b"\xff\xfe raw");
    std::fs::write(root.join(raw), "x").unwrap();
    let socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let fifo = rustix::fs::CWD;
    rustix::fs::mkfifoat(fifo, root.join("fifo"), rustix::fs::Mode::from_raw_mode(0o640)).unwrap();

    let entries = agent.walk(&[]);
    drop(socket);
    let paths: Vec<&[u8]> = entries.iter().map(|entry| entry.path.as_slice()).collect();
    let expected: [&[u8]; 10] = [
        b"",
        b"B",
        b"b",
        b"b/deep",
        b"b/deep/file",
        b"b-",
        b"fifo",
        b"link",
        b"socket",
        b"\xff\xfe raw",
    ];
    assert_eq!(paths, expected);
    let get = |path: &[u8]| entries.iter().find(|entry| entry.path == path).unwrap();
    assert_eq!(get(b"").kind, EntryKind::Directory);
    assert_eq!(get(b"fifo").kind, EntryKind::Fifo);
    assert_eq!(get(b"socket").kind, EntryKind::Socket);
    assert_eq!(get(b"link").kind, EntryKind::Symlink);
    assert_eq!(get(b"link").target.as_deref(), Some(b"b/deep".as_slice()));
    assert_eq!(get(b"B").ino, get(b"b-").ino);
    assert_eq!(get(b"B").nlink, 2);
    let meta = std::fs::metadata(root.join("b/deep/file")).unwrap();
    let file = get(b"b/deep/file");
    assert_eq!((file.kind, file.size, file.ino), (EntryKind::File, 4, meta.ino()));
    assert_eq!(
        (file.uid, file.gid, file.mode),
        (meta.uid(), meta.gid(), meta.mode() & 0o7777)
    );
    assert_eq!(file.blocks, meta.blocks());
    assert_eq!(file.mtime_ns, meta.mtime() * 1_000_000_000 + meta.mtime_nsec());
    assert_eq!(file.extents, [extent(0, 4, Source::Garbage)]);
}

#[test]
fn provenance_of_what_was_written() {
    let mut agent = Agent::new();
    let (old, new, other) = (name("f", "0"), name("f", "1"), name("other", "0"));
    let known = [old.clone(), new.clone(), other.clone()];
    agent.write("f", 0, 8192, &old);
    agent.write("f", 4096, 1024, &new);
    agent.good(Op::Truncate(op::Truncate {
        path: "f".to_owned(),
        size: 10_000,
    }));
    assert_eq!(
        agent.extents("f", &known),
        [
            extent(0, 4096, content(&old, 0)),
            extent(4096, 1024, content(&new, 4096)),
            extent(5120, 3072, content(&old, 5120)),
            extent(8192, 1808, Source::Zeros),
        ]
    );
    // The same without being told any content.
    assert_eq!(agent.extents("f", &[]).len(), 4);

    // Another file's sector, as stale data would be, and 100 bytes at the end.
    agent.write("g", 0, 612, &new);
    let mut sector = [0; 512];
    pattern::Pattern::new(&other).fill(2048, &mut sector);
    let file = std::fs::File::options()
        .write(true)
        .open(agent.root().join("g"))
        .unwrap();
    file.write_all_at(&sector, 0).unwrap();
    assert_eq!(
        agent.extents("g", &known),
        [
            extent(0, 512, content(&other, 2048)),
            extent(512, 100, content(&new, 512))
        ]
    );
}

#[test]
fn unaligned_overwrites_and_mapped_stores() {
    let mut agent = Agent::new();
    let (old, new) = (name("f", "0"), name("f", "1"));
    let known = [old.clone(), new.clone()];
    agent.write("f", 0, 3000, &old);
    agent.write("f", 777, 1111, &new);
    agent.good(Op::MmapStore(op::MmapStore {
        path: "f".to_owned(),
        offset: 2990,
        len: 10,
        pattern: new.clone(),
        msync: MsyncMode::None,
    }));
    // A border may lie where the two happen to have the same bytes.
    let borders = [777, 777 + 1111, 2990];
    let found = agent.extents("f", &known);
    let sources: Vec<Source> = found.iter().map(|extent| extent.source.clone()).collect();
    let at = |i: usize| found[i].offset;
    assert_eq!(
        sources,
        [
            content(&old, 0),
            content(&new, at(1)),
            content(&old, at(2)),
            content(&new, at(3))
        ]
    );
    for (found, border) in found[1..].iter().zip(borders) {
        assert!(
            found.offset.abs_diff(border) <= 3,
            "{found:?} should start near {border}"
        );
        let (low, high) = (found.offset.min(border), found.offset.max(border));
        let (old, new) = (pattern::Pattern::new(&old), pattern::Pattern::new(&new));
        assert!(
            old.agrees(&new, low, high - low),
            "the two differ between {low} and {high}"
        );
    }
}

#[test]
fn holes_are_zeros_and_are_not_read() {
    let mut agent = Agent::new();
    let tail = name("sparse", "0");
    let size = 1_u64 << 40;
    agent.write("sparse", size, 4096, &tail);
    let answer = agent.ask(spec(10, 8 << 20));
    let Ok(Done::Walk(summary)) = answer.result else {
        panic!("{:?}", answer.result)
    };
    assert!(summary.bytes <= 8 << 20);
    let found: Vec<TreeEntry> = answer.outputs.into_iter().flat_map(entries).collect();
    assert_eq!(
        found[1].extents,
        [
            extent(0, size, Source::Zeros),
            extent(size, 4096, content(&tail, size))
        ]
    );
}

#[test]
fn punched_holes_are_zeros() {
    let mut agent = Agent::new();
    let old = name("f", "0");
    agent.write("f", 0, 3 * 4096, &old);
    let punched = agent.op(Op::Fallocate(op::Fallocate {
        path: "f".to_owned(),
        mode: FallocateMode::PunchHole,
        offset: 4096,
        len: 4096,
    }));
    match punched {
        Ok(_) => assert_eq!(
            agent.extents("f", &[]),
            [
                extent(0, 4096, content(&old, 0)),
                extent(4096, 4096, Source::Zeros),
                extent(8192, 4096, content(&old, 8192)),
            ]
        ),
        Err(failure) => assert_eq!(failure.errno, Some(95), "{failure:?}"),
    }
}

#[test]
fn metadata_alone_reads_no_data() {
    let mut agent = Agent::new();
    agent.write("f", 0, 4096, &name("f", "0"));
    let answer = agent.ask(Request::Walk(WalkSpec {
        patterns: Vec::new(),
        data: false,
        max_entries: 2,
        max_bytes: 0,
        placed: false,
    }));
    let Ok(Done::Walk(summary)) = answer.result else {
        panic!("{:?}", answer.result)
    };
    assert_eq!((summary.entries, summary.bytes), (2, 0));
    let found: Vec<TreeEntry> = answer.outputs.into_iter().flat_map(entries).collect();
    assert_eq!((found[1].size, found[1].extents.len()), (4096, 0));
}

#[test]
fn limits_fail_the_walk() {
    let mut agent = Agent::new();
    for file in ["a", "b", "c"] {
        agent.write(file, 0, 1000, &name(file, "0"));
    }
    let failure = |answer: crate::harness::Answer| answer.result.unwrap_err().what;
    assert_eq!(failure(agent.ask(spec(3, 1 << 20))), "walk: more than 3 entries");
    assert!(failure(agent.ask(spec(4, 2999))).contains("limit"));
    agent.ask(spec(4, 3000)).result.unwrap();
    assert!(failure(agent.ask(spec(0, 0))).contains("more than 0 entries"));
}

#[test]
fn depth_fails_the_walk() {
    let mut agent = Agent::new();
    let deep = |depth: usize| vec!["d"; depth].join("/");
    std::fs::create_dir_all(agent.root().join(deep(128))).unwrap();
    assert_eq!(agent.walk(&[]).len(), 129);
    std::fs::create_dir_all(agent.root().join(deep(129))).unwrap();
    let failure = agent.ask(spec(1000, 0)).result.unwrap_err();
    assert!(failure.what.contains("more than 128 deep"), "{failure:?}");
}

#[test]
fn a_file_in_too_many_pieces_fails_the_walk() {
    let mut agent = Agent::new();
    let pair = [[0xaa_u8; 512], [0; 512]].concat();
    std::fs::write(agent.root().join("f"), pair.repeat(8193)).unwrap();
    let failure = agent.ask(spec(10, 1 << 30)).result.unwrap_err();
    assert_eq!(failure.what, "walk: f: its content has more than 16384 extents");
    // Just as many as allowed: the walk works, in one frame.
    std::fs::write(agent.root().join("f"), pair.repeat(8192)).unwrap();
    assert_eq!(agent.extents("f", &[]).len(), 16_384);
}

#[test]
fn many_entries_come_in_many_frames() {
    let mut agent = Agent::new();
    for i in 0..3000 {
        std::fs::write(agent.root().join(format!("{i:0>200}")), "").unwrap();
    }
    let answer = agent.ask(spec(5000, 0));
    answer.result.unwrap();
    assert!(answer.outputs.len() > 3, "{} batches", answer.outputs.len());
    let found: Vec<TreeEntry> = answer.outputs.into_iter().flat_map(entries).collect();
    assert_eq!(found.len(), 3001);
    assert!(found.is_sorted_by(|a, b| a.path < b.path));
}
