//! What the log must agree in with our own recording of the disk below the target.
//!
//! The target writes down what it believes to be on the disk at every flush; our device, below it, knows. Both start
//! from the same image. So each state that the log gives at a flush must be, byte for byte, what our recording says was
//! durable on the data part at some moment, and those moments must follow each other as the flushes do. At the end the
//! whole log must give what the data part holds.

use std::io::{Cursor, Read as _};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use coldcut_core::crash::index::{BlockIndex, Sources};
use coldcut_core::crash::state::{CrashState, PlanKind, Set};
use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::io::IoKind;
use coldcut_core::recording::log::dmlog::{self, ENTRY_LEN, EntryHeader, SUPERBLOCK_LEN, Superblock};
use coldcut_core::recording::log::{Cut, Event, LoadOptions, Recorder, WriteLog};

/// A recording in memory.
pub(crate) type Recording = Recorder<Cursor<Vec<u8>>, Cursor<Vec<u8>>>;

/// An empty place for one half of it.
pub(crate) fn memory() -> Cursor<Vec<u8>> {
    Cursor::new(Vec::new())
}

/// A part of a disk.
pub(crate) struct Slice<'a> {
    disk: &'a dyn ReadAt,
    start: u64,
    len: u64,
}

impl<'a> Slice<'a> {
    /// `len` bytes from `start` on.
    pub(crate) fn new(disk: &'a dyn ReadAt, start: u64, len: u64) -> Self {
        Self { disk, start, len }
    }

    /// All of it.
    pub(crate) fn read_all(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len as usize];
        self.disk.read_at(self.start, &mut bytes)?;
        Ok(bytes)
    }
}

/// How many flush states agree.
///
/// # Errors
/// When one does not.
pub(crate) fn agree(base: &[u8], log: &[u8], end: &[u8], ours: Recording) -> anyhow::Result<usize> {
    let theirs = flush_states(base, log, end)?;
    let truth = durable_states(base, ours)?;
    let mut from = 0;
    for (number, (entry, state)) in theirs.iter().enumerate() {
        let found = truth[from..].iter().position(|durable| durable == state);
        let found = found.with_context(|| {
            format!("flush {number} (entry {entry}): what the log gives was never durable on the disk")
        })?;
        from += found;
    }
    ensure!(theirs.len() > 10, "too few flushes to prove anything");
    Ok(theirs.len())
}

/// Entry number and content at each flush of the kernel's log.
fn flush_states(base: &[u8], log: &[u8], end: &[u8]) -> anyhow::Result<Vec<(u64, blake3::Hash)>> {
    let mut disk = base.to_vec();
    let mut states = Vec::new();
    let mut rest = log;
    let superblock = Superblock::decode(rest.first_chunk::<SUPERBLOCK_LEN>().context("superblock")?)?;
    let sector = superblock.sector_size as usize;
    rest = &rest[sector..];
    for entry in 0..superblock.entries {
        let header = EntryHeader::decode(rest.first_chunk::<ENTRY_LEN>().context("entry")?);
        rest = &rest[sector..];
        let (start, len) = (header.sector as usize * sector, header.sectors as usize * sector);
        if header.flags & dmlog::DISCARD != 0 {
            disk.get_mut(start..start + len)
                .context("discard outside")?
                .fill(0);
        } else if header.has_data() {
            rest.read_exact(disk.get_mut(start..start + len).context("write outside")?)?;
        }
        if header.flags & dmlog::FLUSH != 0 {
            states.push((entry, blake3::hash(&disk)));
        }
    }
    ensure!(rest.is_empty(), "the log goes on after its last entry");
    ensure!(disk == end, "the whole log does not give what the disk holds");
    Ok(states)
}

/// What was durable on the data part, whenever it changed.
fn durable_states(base: &[u8], ours: Recording) -> anyhow::Result<Vec<blake3::Hash>> {
    let (log, sidecar) = ours.into_inner();
    let (log, sidecar) = (log.into_inner(), sidecar.into_inner());
    let loaded = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default())?;
    let index = Arc::new(BlockIndex::build(Arc::new(loaded.log)));
    let disk = index.log().geometry().device_size;
    let mut whole = base.to_vec();
    whole.resize(disk as usize, 0);
    let sources = Sources {
        base: Arc::new(whole),
        log: Arc::new(log),
        sidecar: Some(Arc::new(sidecar)),
    };
    let mut states = vec![blake3::hash(base)];
    for (place, event) in index.log().events().enumerate() {
        let is_flush = match event {
            Event::Complete(id) => index
                .log()
                .request(id)
                .is_some_and(|r| r.io.kind == IoKind::Flush),
            _ => false,
        };
        if is_flush {
            let state = CrashState::new(PlanKind::At, Cut(place as u32 + 1), Set::Durable);
            let image = index.image(&state, &sources)?;
            let durable = Slice::new(&image, 0, base.len() as u64).read_all()?;
            let hash = blake3::hash(&durable);
            if states.last() != Some(&hash) {
                states.push(hash);
            }
        }
    }
    Ok(states)
}
