//! A file's size, space and mappings.

use coldcut_wire::*;

use crate::harness::{Agent, name};
use crate::ops::{bytes, path};

#[test]
fn truncation_and_space() {
    let mut agent = Agent::new();
    let root = agent.root();
    let content = name("f", "0");
    let original = bytes(&content, 0, 16_384);
    let len = |agent: &Agent| std::fs::metadata(agent.root().join("f")).unwrap().len();
    agent.write("f", 0, 16_384, &content);
    agent.good(Op::Truncate(op::Truncate {
        path: path("f"),
        size: 20_000,
    }));
    assert_eq!(len(&agent), 20_000);
    agent.good(Op::Truncate(op::Truncate {
        path: path("f"),
        size: 16_384,
    }));
    for mode in [
        FallocateMode::Allocate,
        FallocateMode::KeepSize,
        FallocateMode::PunchHole,
        FallocateMode::ZeroRange,
        FallocateMode::ZeroRangeKeepSize,
        FallocateMode::CollapseRange,
        FallocateMode::InsertRange,
        FallocateMode::UnshareRange,
    ] {
        std::fs::write(root.join("f"), &original).unwrap();
        let (offset, span) = match mode {
            FallocateMode::Allocate | FallocateMode::KeepSize => (16_384, 4096),
            _ => (4096, 4096),
        };
        let done = agent.op(Op::Fallocate(op::Fallocate {
            path: path("f"),
            mode,
            offset,
            len: span,
        }));
        if let Err(failure) = done {
            assert_eq!(failure.errno, Some(95), "{mode:?}: {failure:?}");
            continue;
        }
        let data = std::fs::read(root.join("f")).unwrap();
        let mut expected = original.clone();
        match mode {
            FallocateMode::Allocate => expected.resize(20_480, 0),
            FallocateMode::KeepSize | FallocateMode::UnshareRange => {}
            FallocateMode::PunchHole | FallocateMode::ZeroRange | FallocateMode::ZeroRangeKeepSize => {
                expected[4096..8192].fill(0);
            }
            FallocateMode::CollapseRange => drop(expected.drain(4096..8192)),
            FallocateMode::InsertRange => drop(expected.splice(4096..4096, vec![0; 4096])),
        }
        assert!(data == expected, "{mode:?} left other bytes than expected");
    }
}

#[test]
fn mapped_stores() {
    let mut agent = Agent::new();
    let root = agent.root();
    let (old, new) = (name("f", "0"), name("f", "1"));
    let len = 3 << 20;
    agent.write("f", 0, len, &old);
    let mut expected = bytes(&old, 0, len as usize);
    let store = |offset, len, msync| {
        Op::MmapStore(op::MmapStore {
            path: path("f"),
            offset,
            len,
            pattern: name("f", "1"),
            msync,
        })
    };
    for (offset, len, msync) in [
        (0, 1, MsyncMode::None),
        (5000, 3000, MsyncMode::Async),
        (1_000_000, (2 << 20) - 10, MsyncMode::Sync),
    ] {
        assert_eq!(agent.good(store(offset, len, msync)), len as i64);
        let range = offset as usize..(offset + len) as usize;
        expected[range].copy_from_slice(&bytes(&new, offset, len as usize));
    }
    assert!(std::fs::read(root.join("f")).unwrap() == expected);
    for (offset, span) in [(len - 1, 2), (len + 1, 1), (0, 0), (u64::MAX, 2)] {
        let failure = agent.op(store(offset, span, MsyncMode::None)).unwrap_err();
        assert!(failure.what.contains("do not lie within"), "{failure:?}");
    }
}
