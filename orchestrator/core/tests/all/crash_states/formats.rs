//! Logs of other tools, damaged logs, and logs that go out and come back.

use super::naive;
use std::io::Cursor;
use std::sync::Arc;

use super::naive::{Happening, scripts};
use coldcut_core::crash::export::{ExportError, LogExport, export_log, export_raw};
use coldcut_core::crash::index::{BlockIndex, Sources};
use coldcut_core::crash::state::{CrashState, PlanKind, Set};
use coldcut_core::recording::block::{ReadAt, Zeros};
use coldcut_core::recording::io::IoKind;
use coldcut_core::recording::log::dmlog::{self, EntryHeader, Superblock, SuperblockError};
use coldcut_core::recording::log::{
    Cut, LoadError, LoadOptions, LoadWarning, Loaded, Order, PastEnd, WriteLog,
};
use coldcut_core::recording::mark::Mark;
use proptest::prelude::*;

/// Builds a log byte by byte, as the format's documentation has it.
struct Image {
    bytes: Vec<u8>,
    sector: usize,
}

impl Image {
    fn new(sector: u32, entries: u64) -> Self {
        let superblock = Superblock {
            entries,
            sector_size: sector,
            tag: None,
        };
        let mut image = Self {
            bytes: Vec::new(),
            sector: sector as usize,
        };
        image.sector_of(&superblock.encode());
        image
    }

    fn sector_of(&mut self, bytes: &[u8]) {
        let end = self.bytes.len() + self.sector;
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(end, 0);
    }

    fn entry(mut self, sector: u64, sectors: u64, flags: u64, fill: u8) -> Self {
        let header = EntryHeader {
            sector,
            sectors,
            flags,
            data_len: 0,
        };
        self.sector_of(&header.encode());
        if header.has_data() {
            let end = self.bytes.len() + sectors as usize * self.sector;
            self.bytes.resize(end, fill);
        }
        self
    }

    fn mark(mut self, text: &str) -> Self {
        let header = EntryHeader {
            flags: dmlog::MARK,
            data_len: text.len() as u64,
            ..EntryHeader::default()
        };
        self.sector_of(&[&header.encode(), text.as_bytes()].concat());
        self
    }

    fn load(&self, device_size: u64) -> Result<Loaded, LoadError> {
        let options = LoadOptions {
            device_size: Some(device_size),
            ..LoadOptions::default()
        };
        WriteLog::load(&self.bytes, None, &options)
    }
}

fn content(log: WriteLog, bytes: &[u8], base: Vec<u8>, cut: Cut, set: Set) -> Vec<u8> {
    let index = Arc::new(BlockIndex::build(Arc::new(log)));
    let sources = Sources {
        base: Arc::new(base),
        log: Arc::new(bytes.to_vec()),
        sidecar: None,
    };
    let image = index
        .image(&CrashState::new(PlanKind::At, cut, set), &sources)
        .unwrap();
    let mut content = vec![0; image.size() as usize];
    image.read_at(0, &mut content).unwrap();
    content
}

/// As the kernel's target writes it: metadata, a preflush split off a FUA write, a late discard, its own closing mark.
#[test]
fn a_log_of_the_kernel_loads_in_sectors_of_512_and_4096() {
    for sector in [512, 4096] {
        let image = Image::new(sector, 8)
            .entry(0, 2, 0, 1)
            .entry(2, 1, dmlog::METADATA, 2)
            .entry(0, 0, dmlog::FLUSH | dmlog::FUA, 0)
            .entry(1, 1, dmlog::FUA, 3)
            .mark("mkfs")
            .entry(0, 1, dmlog::DISCARD, 0)
            .entry(0, 0, dmlog::FLUSH, 0)
            .mark(dmlog::END_MARK);
        let device = 8 * u64::from(sector);
        let loaded = image.load(device).unwrap();
        assert_eq!(loaded.warnings, [LoadWarning::MarksAreEarly]);
        let log = loaded.log;
        assert_eq!(log.geometry().order, Order::Kernel);
        assert_eq!(log.entry_count(), 8);
        assert_eq!(log.marks()[0].mark, Mark::Other("mkfs".into()));
        assert_eq!(log.volatile(log.after_entry(1).unwrap()).unwrap().len(), 2);
        assert_eq!(log.volatile(log.after_entry(2).unwrap()).unwrap(), []);
        // The FUA write needs no flush; the discard does.
        assert_eq!(log.durable(log.after_entry(4).unwrap()).unwrap().count(), 3);
        assert_eq!(log.volatile(log.after_entry(5).unwrap()).unwrap().len(), 1);
        let sectors = |cut| {
            let bytes = content(
                log.clone(),
                &image.bytes,
                vec![9; device as usize],
                cut,
                Set::Durable,
            );
            bytes
                .chunks(sector as usize)
                .map(|sector| sector[sector.len() - 1])
                .collect::<Vec<_>>()
        };
        assert_eq!(sectors(log.after_entry(1).unwrap()), [9; 8]);
        assert_eq!(sectors(log.after_entry(5).unwrap()), [1, 3, 2, 9, 9, 9, 9, 9]);
        assert_eq!(sectors(log.end()), [0, 3, 2, 9, 9, 9, 9, 9]);
    }
}

/// QEMU counts entries at flushes only: those after the last one are there all the same.
#[test]
fn a_log_of_qemu_has_entries_past_its_end() {
    let image = Image::new(512, 2)
        .entry(0, 1, 0, 1)
        .entry(0, 0, dmlog::FLUSH, 0)
        .entry(1, 1, 0, 2)
        .entry(2, 1, dmlog::DISCARD, 0);
    let loaded = image.load(4096).unwrap();
    assert_eq!(loaded.log.entry_count(), 4);
    assert_eq!(loaded.log.geometry().order, Order::Completion);
    assert!(loaded.warnings.contains(&LoadWarning::PastEnd { entries: 2 }));
    assert!(loaded.warnings.contains(&LoadWarning::NoSubmissions));
    let options = LoadOptions {
        past_end: PastEnd::Ignore,
        device_size: Some(4096),
        order: None,
    };
    let ignored = WriteLog::load(&image.bytes, None, &options).unwrap();
    assert_eq!(ignored.log.entry_count(), 2);
    assert!(ignored.warnings.contains(&LoadWarning::IgnoredPastEnd));
}

/// After a closed log of the kernel stands whatever the log device held before.
/// The format has no field for the device, so of several in one log only this much can be told.
#[test]
fn a_log_of_several_devices_is_refused_where_it_shows() {
    // A second log after the first, whether or not the first was closed or its superblock counts on.
    for (entries, closed) in [(1, false), (2, true), (9, false)] {
        let mut image = Image::new(512, entries).entry(8, 8, 0, 1);
        if closed {
            image = image.mark(dmlog::END_MARK);
        }
        let (first, at) = (1 + u64::from(closed), image.bytes.len() as u64);
        image.bytes.extend(Image::new(512, 1).entry(0, 8, 0, 2).bytes);
        let refused = image.load(1 << 20);
        assert!(
            matches!(refused, Err(LoadError::SecondLog { entries, at: found }) if entries == first && found == at),
            "{refused:?}"
        );
        if entries == first {
            let options = LoadOptions {
                past_end: PastEnd::Ignore,
                ..LoadOptions::default()
            };
            let loaded = WriteLog::load(&image.bytes, None, &options).unwrap();
            assert_eq!(u64::from(loaded.log.entry_count()), first);
        }
    }
    // An entry that no such device has.
    let larger = Image::new(512, 2)
        .entry(8, 8, 0, 1)
        .entry(2040, 16, 0, 1)
        .load(1 << 20);
    assert!(
        matches!(larger, Err(LoadError::OutOfDevice { entry: 1, .. })),
        "{larger:?}"
    );
}

#[test]
fn what_follows_a_closing_mark_is_not_read() {
    let image = Image::new(512, 2)
        .entry(0, 1, 0, 1)
        .mark(dmlog::END_MARK)
        .entry(1, 1, 0, 2);
    assert_eq!(image.load(4096).unwrap().log.entry_count(), 2);
}

#[test]
fn a_log_that_was_cut_short_loads_up_to_its_last_whole_entry() {
    let image = Image::new(512, 3)
        .entry(0, 1, 0, 1)
        .entry(0, 0, dmlog::FLUSH, 0)
        .entry(4, 4, 0, 2);
    let whole = image.bytes.len();
    for missing in 1..(5 * 512) {
        let bytes = image.bytes[..whole - missing].to_vec();
        let loaded = WriteLog::load(&bytes, None, &LoadOptions::default()).unwrap();
        assert_eq!(loaded.log.entry_count(), 2, "{missing} bytes missing");
        assert!(loaded.warnings.contains(&LoadWarning::Truncated {
            entries: 2,
            claimed: 3
        }));
    }
}

#[test]
fn what_is_no_usable_log_is_refused_with_a_reason() {
    let load = |bytes: &Vec<u8>| {
        WriteLog::load(bytes, None, &LoadOptions::default())
            .unwrap_err()
            .to_string()
    };
    let good = Image::new(512, 1).entry(0, 1, 0, 1).bytes;
    let edited = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        load(&bytes)
    };
    insta::assert_snapshot!(load(&b"QFI\xfb".to_vec()), @"not a dm-log-writes log: it has 4 bytes, less than a superblock");
    insta::assert_snapshot!(load(&vec![0x51; 4096]), @"not a dm-log-writes log: it starts with 0x5151515151515151 instead of 0x006a736677736872");
    insta::assert_snapshot!(edited(8, 2), @"the log has format version 2; only version 1 is known");
    insta::assert_snapshot!(edited(25, 3), @"the log has sectors of 768 bytes; expected a power of two from 512 to 65536");
    insta::assert_snapshot!(
        Image::new(512, 1).entry(7, 2, 0, 1).load(4096).unwrap_err(),
        @"entry 0 covers bytes 3584 to 4608, but the device has 4096: the log is of another device, or of several"
    );
    insta::assert_snapshot!(
        Image::new(512, 1).entry(u64::MAX, 2, dmlog::DISCARD, 1).load(4096).unwrap_err(),
        @"entry 0 at byte 512 of the log is damaged: it covers 2 sectors from 18446744073709551615 on"
    );
    let mut long_mark = Image::new(512, 1).mark("x").bytes;
    long_mark[512 + 24..512 + 32].copy_from_slice(&481_u64.to_le_bytes());
    insta::assert_snapshot!(load(&long_mark), @"entry 0 at byte 512 of the log is damaged: a mark of 481 bytes in a sector of 512");
    assert!(matches!(
        WriteLog::load(&vec![0; 512], None, &LoadOptions::default()),
        Err(LoadError::Superblock(SuperblockError::Magic(0)))
    ));
}

#[test]
fn a_sidecar_of_another_recording_is_refused() {
    let script = |fill: u64| naive::Script {
        device: 8192,
        disks: std::iter::once(0..8192).collect(),
        base: vec![0; 8192],
        happenings: vec![
            Happening::Submit(
                coldcut_core::recording::io::Io {
                    kind: IoKind::Write,
                    offset: fill * 512,
                    len: 512,
                    fua: false,
                },
                vec![1; 512],
            ),
            Happening::Complete(0),
        ],
    };
    let (log, _) = script(1).record(true);
    let (_, sidecar) = script(2).record(true);
    let error = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap_err();
    assert!(matches!(error, LoadError::Mismatch { entry: 0, .. }), "{error}");
    let options = LoadOptions {
        device_size: Some(4096),
        ..LoadOptions::default()
    };
    let error = WriteLog::load(&log, None, &options).unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::DeviceSize {
                log: 8192,
                wanted: 4096
            }
        ),
        "{error}"
    );
}

/// Who knows nothing of several disks must not read a log of them as one of a single disk, whose flushes cover all; one
/// disk is recorded as it always was.
#[test]
fn several_disks_have_a_format_of_their_own() {
    let script = |disks: Vec<std::ops::Range<usize>>| naive::Script {
        device: 16384,
        disks,
        base: vec![0; 16384],
        happenings: vec![],
    };
    let (log, sidecar) = script(std::iter::once(0..16384).collect()).record(true);
    assert_eq!(
        &log[64..88],
        b"coldcut\x01\x00\x40\0\0\0\0\0\0\x00\x10\0\0\x01\0\0\0"
    );
    assert!(log[88..].iter().all(|byte| *byte == 0));
    assert_eq!(&sidecar[..16], b"coldcutS\x01\0\0\0\x01\0\0\0");
    assert!(sidecar[32..64].iter().all(|byte| *byte == 0));
    assert_eq!(sidecar.len(), 64 + 8);
    let (log, sidecar) = script(vec![0..4096, 8192..16384]).record(true);
    assert_eq!((log[71], log[85], sidecar[8]), (2, 2, 2));
    let loaded = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap();
    assert_eq!(loaded.log.disks().count(), 2);
    // Disks that overlap, none at all, and those of another recording.
    for (at, value) in [(64 + 24 + 16 + 1, 0), (85, 1), (85, 9), (64 + 24 + 8 + 1, 8)] {
        let mut damaged = log.clone();
        damaged[at] = value;
        assert!(
            WriteLog::load(&damaged, Some(&sidecar), &LoadOptions::default()).is_err(),
            "{at}"
        );
    }
    let (_, other) = script(vec![0..8192, 8192..16384]).record(true);
    let refused = WriteLog::load(&log, Some(&other), &LoadOptions::default());
    assert!(matches!(refused, Err(LoadError::Mismatch { .. })), "{refused:?}");
}

/// Zeros that say that they are.
struct Sparse(u64);

impl ReadAt for Sparse {
    fn size(&self) -> u64 {
        self.0
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        Zeros { size: self.0 }.read_at(offset, buffer)
    }

    fn next_data(&self, _: u64) -> std::io::Result<Option<std::ops::Range<u64>>> {
        Ok(None)
    }
}

fn sources(script: &naive::Script, log: &[u8], sidecar: &[u8]) -> Sources {
    Sources {
        base: Arc::new(script.base.clone()),
        log: Arc::new(log.to_vec()),
        sidecar: Some(Arc::new(sidecar.to_vec())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Out in completion order and back: the same entries, and the same content after each of them.
    #[test]
    fn completion_order_comes_back_as_it_was(script in scripts(50)) {
        let (bytes, sidecar) = script.record(true);
        let log = WriteLog::load(&bytes, Some(&sidecar), &LoadOptions::default()).unwrap().log;
        let mut out = Cursor::new(Vec::new());
        let entries = export_log(&log, &sources(&script, &bytes, &sidecar), &LogExport::default(), &mut out).unwrap();
        let out = out.into_inner();
        prop_assert_eq!(&out, &bytes, "the recorder and the exporter agree on every byte");
        let back = WriteLog::load(&out, None, &LoadOptions::default()).unwrap().log;
        prop_assert_eq!(u64::from(back.entry_count()), entries);
        prop_assert_eq!(back.geometry(), log.geometry());
        for entry in 0..back.entry_count() {
            let (ours, theirs) = (log.after_entry(entry).unwrap(), back.after_entry(entry).unwrap());
            let wanted = script.content(ours.0 as usize, &completed(&script, ours.0 as usize));
            prop_assert!(content(back.clone(), &out, script.base.clone(), theirs, Set::Completed) == wanted);
        }
    }

    /// In kernel order, replaying literally everything up to a flush gives what was durable when that flush completed.
    /// (Without FUA: a FUA write over an older one that no flush has covered yet changes places with it in that order.)
    #[test]
    fn kernel_order_replayed_up_to_a_flush_is_what_was_durable(mut script in scripts(60)) {
        for happening in &mut script.happenings {
            if let Happening::Submit(io, _) = happening {
                io.fua = false;
            }
        }
        let (bytes, sidecar) = script.record(true);
        let log = WriteLog::load(&bytes, Some(&sidecar), &LoadOptions::default()).unwrap().log;
        let what = LogExport { order: Order::Kernel, ..LogExport::default() };
        let mut out = Cursor::new(Vec::new());
        export_log(&log, &sources(&script, &bytes, &sidecar), &what, &mut out).unwrap();
        let out = out.into_inner();
        let mut flushes = script.happenings.iter().enumerate().filter_map(|(place, happening)| match happening {
            Happening::Complete(number) if script.io(*number).kind == IoKind::Flush => Some(place + 1),
            _ => None,
        });
        let (mut device, mut at, mut closed) = (script.base.clone(), 512, false);
        while at < out.len() {
            let word = |place: usize| u64::from_le_bytes(out[at + place..at + place + 8].try_into().unwrap());
            let (offset, len, flags) = (word(0) as usize * 512, word(8) as usize * 512, word(16));
            at += 512;
            if flags & 4 != 0 {
                device[offset..offset + len].fill(0);
            } else if flags & 8 == 0 {
                device[offset..offset + len].copy_from_slice(&out[at..at + len]);
                at += len;
            }
            if flags & 1 != 0 {
                let cut = flushes.next().unwrap();
                let wanted = script.content(cut, &script.durable(cut));
                prop_assert!(device == wanted, "flush that completed at {}", cut);
            }
            closed = flags & 8 != 0;
        }
        prop_assert!(closed && flushes.next().is_none());
        let end = script.happenings.len();
        prop_assert!(device == script.content(end, &completed(&script, end)));
        let back = WriteLog::load(&out, None, &LoadOptions::default()).unwrap();
        prop_assert_eq!(back.warnings, [LoadWarning::MarksAreEarly]);
    }

    /// Of several disks, each has a log of its own, byte for byte that of a recording of it alone; and it says the same of the
    /// disk at every entry.
    #[test]
    fn each_disk_has_a_log_of_its_own(script in scripts(50)) {
        let (bytes, sidecar) = script.record(true);
        let log = WriteLog::load(&bytes, Some(&sidecar), &LoadOptions::default()).unwrap().log;
        let sources = sources(&script, &bytes, &sidecar);
        for number in 0..script.disks.len() {
            let alone = script.alone(number);
            let (wanted, beside) = alone.record(true);
            let export = |order| {
                let what = LogExport { disk: Some(number), order, ..LogExport::default() };
                let mut out = Cursor::new(Vec::new());
                export_log(&log, &sources, &what, &mut out).unwrap();
                out.into_inner()
            };
            prop_assert!(export(Order::Completion) == wanted);
            let of_one = WriteLog::load(&wanted, Some(&beside), &LoadOptions::default()).unwrap().log;
            let what = LogExport { order: Order::Kernel, ..LogExport::default() };
            let mut kernel = Cursor::new(Vec::new());
            export_log(&of_one, &self::sources(&alone, &wanted, &beside), &what, &mut kernel).unwrap();
            prop_assert!(export(Order::Kernel) == kernel.into_inner());
        }
        let none = LogExport { disk: Some(script.disks.len()), ..LogExport::default() };
        let refused = export_log(&log, &sources, &none, &mut Cursor::new(Vec::new()));
        let is_refused = matches!(refused, Err(ExportError::Disk { .. }));
        prop_assert!(is_refused);
    }

    /// A log without its sidecar knows its disks, and to which each flush was sent.
    #[test]
    fn a_log_alone_knows_its_disks(script in scripts(50)) {
        let (bytes, _) = script.record(true);
        let log = WriteLog::load(&bytes, None, &LoadOptions::default()).unwrap().log;
        let ranges: Vec<_> = log.disks().iter().map(|disk| disk.start as usize..(disk.start + disk.size) as usize).collect();
        prop_assert_eq!(&ranges, &script.disks);
        let flushes = |log: &WriteLog| -> Vec<u64> {
            let requests = log.requests().filter(|request| request.completed.is_some());
            requests.filter(|request| request.io.kind == IoKind::Flush).map(|request| request.io.offset).collect()
        };
        let (bytes, sidecar) = script.record(true);
        let whole = WriteLog::load(&bytes, Some(&sidecar), &LoadOptions::default()).unwrap().log;
        prop_assert_eq!(flushes(&log), flushes(&whole));
    }

    /// No damage to a log or a sidecar does worse than an error.
    #[test]
    fn damage_is_never_a_panic(script in scripts(20), edits in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let (mut log, mut sidecar) = script.record(true);
        for (in_log, at, value) in edits {
            // Headers more than payload: that is where damage hurts.
            if in_log {
                let at = at.index(log.len());
                let at = at / 512 * 512 + at % 40;
                log[at] = value;
            } else {
                let at = at.index(sidecar.len());
                sidecar[at] = value;
            }
        }
        for sidecar in [None, Some(&sidecar as &dyn ReadAt)] {
            let Ok(loaded) = WriteLog::load(&log, sidecar, &LoadOptions::default()) else {
                continue;
            };
            let size = loaded.log.geometry().device_size;
            let spec = coldcut_core::crash::plan::CrashSpec { budget: Some(20), ..Default::default() };
            let index = Arc::new(BlockIndex::build(Arc::new(loaded.log)));
            let sources = Sources { base: Arc::new(Zeros { size }), log: Arc::new(log.clone()), sidecar: None };
            for state in spec.states(index.log()).unwrap() {
                if let Ok(image) = index.image(&state, &sources) {
                    let mut buffer = vec![0; size.min(1 << 20) as usize];
                    image.read_at(0, &mut buffer).unwrap();
                }
            }
        }
    }

    /// A raw image is the state, byte for byte.
    #[test]
    fn raw_images_are_the_state(script in scripts(40)) {
        let device = script.content(script.happenings.len(), &script.durable(script.happenings.len()));
        let mut out = Cursor::new(Vec::new());
        export_raw(&device, &mut out).unwrap();
        prop_assert!(out.into_inner() == device);
    }

    /// What a state says is no data is zeros, and its ranges make progress.
    #[test]
    fn what_is_skipped_is_zeros(script in scripts(40)) {
        let (log, sidecar) = script.record(true);
        let loaded = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap();
        let index = Arc::new(BlockIndex::build(Arc::new(loaded.log)));
        let zeros = Sources { base: Arc::new(Sparse(script.device as u64)), ..sources(&script, &log, &sidecar) };
        let state = CrashState::new(PlanKind::At, index.log().end(), Set::All);
        let image = index.image(&state, &zeros).unwrap();
        let (mut at, mut copy) = (0, vec![0; script.device]);
        while let Some(range) = image.next_data(at).unwrap() {
            prop_assert!(range.start >= at && range.end > range.start);
            image.read_at(range.start, &mut copy[range.start as usize..range.end as usize]).unwrap();
            at = range.end;
        }
        let mut whole = vec![1; script.device];
        image.read_at(0, &mut whole).unwrap();
        prop_assert!(copy == whole);
    }
}

fn completed(script: &naive::Script, cut: usize) -> Vec<usize> {
    script.happenings[..cut]
        .iter()
        .filter_map(|happening| match happening {
            Happening::Complete(number) => Some(*number),
            _ => None,
        })
        .collect()
}
