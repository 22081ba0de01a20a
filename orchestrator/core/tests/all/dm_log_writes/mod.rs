//! A log that the dm-log-writes target of Debian's kernel 6.12 wrote, over ext4 with blocks of 1 KiB.
//!
//! `cargo run --example dm_log_writes_fixture` makes it again, with other times in it. `examples/dm_log_writes_fixture/`
//! holds what ran in the guest; it writes the fixture only when every flush state of the log is what a recording of the
//! disk *below* the target says was durable there. So the kernel's word is checked, and here the engine is, against the
//! kernel's word.

mod literal;

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use coldcut_core::crash::export::{ExportError, LogExport, export_log};
use coldcut_core::crash::index::{BlockIndex, Sources};
use coldcut_core::crash::plan::{CrashSpec, PlanError};
use coldcut_core::crash::state::{CrashState, PlanKind, Set};
use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::io::{Io, IoKind};
use coldcut_core::recording::log::{Cut, DataRef, Event, LoadOptions, LoadWarning, Order, WriteLog};
use literal::{DISCARD, Entry, FLUSH, FUA, MARK, METADATA};

/// The marks that the guest's program set, and the target's own.
const MARKS: [&str; 14] = [
    "start",
    "mounted",
    "created",
    "renamed",
    "rename-durable",
    "overwritten-in-cache",
    "overwritten",
    "overwritten-dsync",
    "unlinked",
    "trimmed",
    "end of work",
    "unmounted",
    "tail-flushed",
    "tail-unflushed",
];
const END: &str = "dm-log-writes-end";

fn fixture(what: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(dir.join(format!("dm-log-writes-6.12.{what}"))).unwrap()
}

/// The fixture, as the engine and as the literal reader see it.
struct Fixture {
    index: Arc<BlockIndex>,
    sources: Sources,
    warnings: Vec<LoadWarning>,
    base: Vec<u8>,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Fixture {
    fn load() -> Self {
        let unpack = |what| zstd::decode_all(fixture(what).as_slice()).unwrap();
        let (base, bytes) = (unpack("base.zst"), unpack("log.zst"));
        let options = LoadOptions {
            device_size: Some(base.len() as u64),
            order: Some(Order::Kernel),
            ..LoadOptions::default()
        };
        let loaded = WriteLog::load(&bytes, None, &options).unwrap();
        let sources = Sources {
            base: Arc::new(base.clone()),
            log: Arc::new(bytes.clone()),
            sidecar: None,
        };
        Self {
            index: Arc::new(BlockIndex::build(Arc::new(loaded.log))),
            sources,
            warnings: loaded.warnings,
            entries: literal::read(&bytes),
            base,
            bytes,
        }
    }

    fn log(&self) -> &WriteLog {
        self.index.log()
    }

    fn after(&self, entry: usize) -> Cut {
        self.log().after_entry(entry as u32).unwrap()
    }

    fn content(&self, state: &CrashState) -> Vec<u8> {
        let image = self.index.image(state, &self.sources).unwrap();
        let mut bytes = vec![0; image.size() as usize];
        image.read_at(0, &mut bytes).unwrap();
        bytes
    }

    fn state(&self, entry: usize, set: Set) -> Vec<u8> {
        self.content(&CrashState::new(PlanKind::At, self.after(entry), set))
    }

    /// The numbers of the entries that have a flag.
    fn with(&self, flag: u64) -> Vec<usize> {
        (0..self.entries.len())
            .filter(|entry| self.entries[*entry].is(flag))
            .collect()
    }

    fn mark(&self, text: &str) -> usize {
        self.entries
            .iter()
            .position(|entry| entry.is(MARK) && entry.text == text)
            .unwrap()
    }
}

/// Two contents, without printing megabytes when they differ.
fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    if found != expected {
        let at = found.iter().zip(expected).position(|(a, b)| a != b);
        panic!("{what}: the contents differ from byte {at:?} on");
    }
}

#[test]
fn the_fixture_has_what_it_is_for() {
    let fixture = Fixture::load();
    let count = |flag| fixture.with(flag).len();
    assert!(
        count(FLUSH) >= 15 && count(FUA) >= 10 && count(DISCARD) >= 4 && count(METADATA) >= 50,
        "{} flushes, {} FUA, {} discards, {} metadata",
        count(FLUSH),
        count(FUA),
        count(DISCARD),
        count(METADATA)
    );
    // A preflush of a write is an entry of its own, which still carries the write's place and FUA flag.
    let split = fixture
        .entries
        .windows(2)
        .filter(|pair| {
            pair[0].is(FLUSH) && pair[0].is(FUA) && pair[0].len == 0 && pair[1].start == pair[0].start
        })
        .count();
    assert!(split >= 5, "{split} writes with a preflush");
}

#[test]
fn every_entry_is_read_as_it_stands() {
    let fixture = Fixture::load();
    let log = fixture.log();
    assert_eq!(fixture.warnings, [LoadWarning::MarksAreEarly]);
    assert_eq!(log.geometry().order, Order::Kernel);
    assert_eq!(log.geometry().sector_size, 512);
    assert_eq!(log.entry_count() as usize, fixture.entries.len());
    let mut place = 0;
    for (number, entry) in fixture.entries.iter().enumerate() {
        let end = fixture.after(number).0;
        let events: Vec<Event> = (place..end).map(|place| log.event(place).unwrap()).collect();
        place = end;
        if entry.is(MARK) {
            let [Event::Mark(mark)] = events[..] else {
                panic!("entry {number} is a mark, not {events:?}");
            };
            assert_eq!(log.marks()[mark as usize].mark.to_string(), entry.text);
            continue;
        }
        let [Event::Submit(submitted), Event::Complete(id)] = events[..] else {
            panic!("entry {number} is one request, not {events:?}");
        };
        assert_eq!(submitted, id);
        let request = log.request(id).unwrap();
        let (kind, data) = match entry {
            _ if entry.is(FLUSH) => (IoKind::Flush, DataRef::None),
            _ if entry.is(DISCARD) => (IoKind::Discard, DataRef::None),
            _ => (IoKind::Write, DataRef::Log(entry.data_at as u64)),
        };
        let io = if kind == IoKind::Flush {
            assert_eq!(entry.len, 0, "the target splits flushes from writes");
            Io {
                kind,
                offset: 0,
                len: 0,
                fua: false,
            }
        } else {
            Io {
                kind,
                offset: entry.start,
                len: entry.len,
                fua: entry.is(FUA),
            }
        };
        assert_eq!((request.io, request.data), (io, data), "entry {number}");
    }
    assert_eq!(Cut(place), log.end());
}

#[test]
fn nobody_needs_to_say_that_it_is_the_kernels() {
    let fixture = Fixture::load();
    let loaded = WriteLog::load(&fixture.bytes, None, &LoadOptions::default()).unwrap();
    assert_eq!(loaded.log.geometry().order, Order::Kernel);
    let guess = fixture
        .entries
        .iter()
        .map(|entry| entry.start + entry.len)
        .max()
        .unwrap();
    let device_size = guess.next_multiple_of(4096);
    assert!(
        loaded
            .warnings
            .contains(&LoadWarning::SizeGuessed { device_size })
    );
    // As it was on its device, with the rest of the device behind it: zeros, or an older log's entries.
    let first = fixture.entries[0].data_at - 512;
    for rest in [vec![0; 8192], fixture.bytes[first..first + 4096].to_vec()] {
        let longer = [fixture.bytes.clone(), rest].concat();
        let again = WriteLog::load(&longer, None, &LoadOptions::default()).unwrap();
        assert_eq!(again.log, loaded.log);
        assert_eq!(
            again.warnings, loaded.warnings,
            "the closing mark says where it ends"
        );
    }
}

#[test]
fn marks_are_those_that_were_set_and_the_closing_one() {
    let fixture = Fixture::load();
    let marks: Vec<String> = fixture
        .log()
        .marks()
        .iter()
        .map(|placed| placed.mark.to_string())
        .collect();
    let (last, set) = marks.split_last().unwrap();
    assert_eq!(set, MARKS);
    assert_eq!(last, END);
    assert_eq!(fixture.after(fixture.entries.len() - 1), fixture.log().end());
}

#[test]
fn every_flush_state_is_a_literal_replay() {
    let fixture = Fixture::load();
    let states: Vec<CrashState> = CrashSpec::of(PlanKind::Barriers)
        .states(fixture.log())
        .unwrap()
        .collect();
    for flush in fixture.with(FLUSH) {
        let expected = literal::replayed(&fixture.base, &fixture.entries, flush);
        let what = format!("flush at entry {flush}");
        assert_same(&fixture.state(flush, Set::Durable), &expected, &what);
        let here: Vec<_> = states
            .iter()
            .filter(|state| state.cut == fixture.after(flush))
            .collect();
        // Nothing that the log knows of is in the cache: one state, not two.
        assert_eq!(here.len(), 1, "{what}");
        assert_eq!(here[0].set, Set::Durable, "{what}");
        assert_same(&fixture.content(here[0]), &expected, &what);
    }
}

#[test]
fn every_entry_leaves_on_the_disk_what_the_documentation_says() {
    let fixture = Fixture::load();
    for entry in 0..fixture.entries.len() {
        let what = format!("entry {entry}");
        let durable = literal::on_disk(&fixture.base, &fixture.entries, entry);
        assert_same(&fixture.state(entry, Set::Durable), &durable, &what);
        let all = literal::replayed(&fixture.base, &fixture.entries, entry);
        assert_same(&fixture.state(entry, Set::Completed), &all, &what);
        if fixture.entries[entry].is(FUA) {
            assert_same(&durable, &all, &what);
        }
    }
}

/// What is volatile before a flush is what stands between it and the flush before, and nothing else.
#[test]
fn ordinary_writes_stand_right_before_their_flush() {
    let fixture = Fixture::load();
    let (mut since, mut most) = (0, 0);
    for (number, entry) in fixture.entries.iter().enumerate() {
        if entry.is(FLUSH) {
            since = 0;
        }
        since += usize::from(entry.waits_for_a_flush());
        most = most.max(since);
        let volatile = fixture.log().volatile(fixture.after(number)).unwrap();
        assert_eq!(volatile.len(), since, "entry {number}");
        if entry.is(MARK) && entry.text != END {
            assert_eq!(
                since, 0,
                "the mark {:?}: what is in the cache is not in the log yet",
                entry.text
            );
        }
    }
    assert!(most >= 8, "never more than {most} writes under one flush");
}

#[test]
fn writes_and_discards_are_late() {
    let fixture = Fixture::load();
    // Written before the mark, and not flushed: it stands after the mark.
    let (mark, flush) = (fixture.mark("overwritten-in-cache"), fixture.mark("overwritten"));
    let between = &fixture.entries[mark + 1..flush];
    let x = between
        .iter()
        .filter(|entry| entry.data.starts_with(b"generation x"))
        .count();
    assert_eq!(x, 1);
    // The discards of fstrim, which ended before the mark.
    let trimmed = fixture.mark("trimmed");
    let discards = fixture.with(DISCARD);
    assert!(discards[0] > trimmed && fixture.entries[trimmed + 1].is(DISCARD));
    assert_eq!(discards[0], trimmed + 1);
    let cut = fixture.after(discards[0]);
    assert_eq!(
        fixture.log().volatile(cut).unwrap().len(),
        1,
        "a discard waits for a flush like a write"
    );
}

#[test]
fn what_no_flush_covered_stands_before_the_closing_mark() {
    let fixture = Fixture::load();
    let end = fixture.entries.len() - 1;
    let flushed = *fixture.with(FLUSH).last().unwrap();
    let tail = &fixture.entries[fixture.mark("tail-unflushed") + 1..end];
    assert_eq!(tail.len(), 4, "three writes and a discard");
    let durable = fixture.state(end, Set::Durable);
    assert_same(
        &durable,
        &literal::replayed(&fixture.base, &fixture.entries, flushed),
        "durable at the end",
    );
    // What the disk really held when the target was gone.
    let whole = fixture.state(end, Set::Completed);
    assert_ne!(durable, whole);
    let expected = String::from_utf8(self::fixture("final.blake3")).unwrap();
    assert_eq!(blake3::hash(&whole).to_string(), expected.trim());
}

#[test]
fn plans_that_need_completion_order_are_refused() {
    let fixture = Fixture::load();
    let spec = CrashSpec {
        between: Some(["created".into(), "unlinked".into()]),
        ..CrashSpec::default()
    };
    assert_eq!(spec.states(fixture.log()).unwrap_err(), PlanError::KernelOrder);
    let what = LogExport {
        order: Order::Completion,
        ..LogExport::default()
    };
    let mut out = Cursor::new(Vec::new());
    let refused = export_log(fixture.log(), &fixture.sources, &what, &mut out);
    assert!(matches!(refused, Err(ExportError::Order)), "{refused:?}");
    assert!(
        out.into_inner().is_empty(),
        "nothing is written before the refusal"
    );
    // At a mark nothing but what was durable is offered: the log does not say what was in the cache.
    for plan in [
        PlanKind::Barriers,
        PlanKind::Reorder,
        PlanKind::Torn,
        PlanKind::Combinations,
    ] {
        for name in MARKS {
            let cut = fixture.after(fixture.mark(name));
            let states = CrashSpec::of(plan).states(fixture.log()).unwrap();
            for state in states.filter(|state| state.cut == cut) {
                let expected = literal::on_disk(&fixture.base, &fixture.entries, fixture.mark(name));
                assert_same(&fixture.content(&state), &expected, name);
            }
        }
    }
}

#[test]
fn an_export_in_kernel_order_is_the_same_log() {
    let fixture = Fixture::load();
    let what = LogExport {
        order: Order::Kernel,
        ..LogExport::default()
    };
    let mut out = Cursor::new(Vec::new());
    export_log(fixture.log(), &fixture.sources, &what, &mut out).unwrap();
    let again = literal::read(&out.into_inner());
    // The engine does not keep what an empty flush says of the write that follows it.
    let plain = |entry: &Entry| {
        let flush = entry.is(FLUSH);
        let flags = entry.flags & if flush { !(FUA | METADATA) } else { !0 };
        let start = if flush { 0 } else { entry.start };
        (flags, start, entry.len, entry.text.clone(), entry.data.clone())
    };
    let (found, expected): (Vec<_>, Vec<_>) = (
        again.iter().map(plain).collect(),
        fixture.entries.iter().map(plain).collect(),
    );
    for (number, pair) in found.iter().zip(&expected).enumerate() {
        assert!(
            pair.0 == pair.1,
            "entry {number}: {} instead of {}",
            again[number].head(),
            fixture.entries[number].head()
        );
    }
    assert_eq!(found.len(), expected.len());
}
