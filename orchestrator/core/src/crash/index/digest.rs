//! The content of a state as a short digest, kept up to date from one state to the next.
//!
//! The digest is a sum over the blocks whose content differs from the base image's: of each block's number and content,
//! BLAKE3 gives four 64-bit numbers, and each of the four is summed modulo 2^64 (a multiset hash in the manner of Clarke
//! et al., "Incremental multiset hash functions", 2003; AdHash of Bellare and Micciancio, 1997). A sum knows no order,
//! so a block's part is taken out and put in as the block changes. Two states over the same base have equal digests
//! exactly when their contents are equal, but for a chance of about 2^-128; a write that rewrites what the base image
//! holds changes nothing. The base is read for that, once for each block that changes.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::block_index::{BLOCK, BlockIndex};
use super::dirty::{Dirty, MAX_DIRTY};
use super::image::{Sources, read_state};
use super::resolve::{Origin, SECTOR};
use crate::crash::state::{CrashState, PlanKind, Selection, Set};
use crate::recording::block::ReadAt;
use crate::recording::log::{Cut, DataRef};

/// Digest of a device's content, relative to the base image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 16]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl std::str::FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || format!("{text:?} is no digest; expected 32 hexadecimal digits");
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        u128::from_str_radix(text, 16)
            .map(|value| Self(value.to_be_bytes()))
            .map_err(|_| bad())
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

type Part = [u64; 4];

/// Hashes block numbers and offsets in a log; nobody gains by choosing them badly but themselves.
type Mixed = BuildHasherDefault<Mixer>;

#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// Parts of whole blocks that one write fills, by their offset in the log: cleared when there are so many.
const MEMO: usize = 16_384;

/// Goes from state to state and says each one's digest. A step costs as much as the blocks in which the two states may
/// differ: a barrier's state after another's is the writes between them.
pub struct DigestCursor {
    index: Arc<BlockIndex>,
    sources: Sources,
    here: Selection,
    parts: HashMap<u64, Part, Mixed>,
    sum: Part,
    memo: HashMap<(u64, u64), Option<Part>, Mixed>,
    dirty: Dirty,
    content: Vec<u8>,
    base: Vec<u8>,
}

/// Why a digest could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DigestError {
    /// The log does not have the state.
    #[error(transparent)]
    State(#[from] crate::crash::state::StateError),
    /// The two states may differ in more blocks than a digest is worth.
    #[error("the state may differ from the one before it in more than {MAX_DIRTY} blocks of 4 KiB")]
    TooWide,
    /// Data could not be read. The cursor must not be used any more.
    #[error("cannot read a crash state: {0}")]
    Io(#[from] io::Error),
}

impl DigestCursor {
    /// Starts before the recording's first event.
    ///
    /// # Errors
    /// When the sources are not this log's.
    pub fn new(index: Arc<BlockIndex>, sources: Sources) -> Result<Self, DigestError> {
        sources.check(index.log())?;
        let start = CrashState::new(PlanKind::At, Cut(0), Set::Durable);
        let here = index.log().select(&start)?;
        Ok(Self {
            index,
            sources,
            here,
            parts: HashMap::default(),
            sum: [0; 4],
            memo: HashMap::default(),
            dirty: Dirty::default(),
            content: vec![0; BLOCK as usize],
            base: vec![0; BLOCK as usize],
        })
    }

    /// Goes to a state.
    ///
    /// # Errors
    /// When the log does not have the state, or its data cannot be read.
    pub fn digest(&mut self, state: &CrashState) -> Result<Digest, DigestError> {
        let next = self.index.log().select(state)?;
        if !self.dirty.collect(self.index.log(), &self.here, &next) {
            return Err(DigestError::TooWide);
        }
        self.here = next;
        let dirty = std::mem::take(&mut self.dirty);
        for (block, newest) in dirty.blocks() {
            let part = self.part(block, newest)?;
            let old = match part {
                Some(part) => self.parts.insert(block, part),
                None => self.parts.remove(&block),
            };
            for (lane, sum) in self.sum.iter_mut().enumerate() {
                let out = old.map_or(0, |part| part[lane]);
                let into = part.map_or(0, |part| part[lane]);
                *sum = sum.wrapping_sub(out).wrapping_add(into);
            }
        }
        self.dirty = dirty;
        Ok(self.finish())
    }

    fn finish(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        for lane in self.sum {
            hasher.update(&lane.to_le_bytes());
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Digest(digest)
    }

    /// A block's part of the sum; `None` when it is as in the base image. `newest` is the write that fills the block
    /// in this state, where that is known without a search.
    fn part(&mut self, block: u64, newest: Option<u32>) -> io::Result<Option<Part>> {
        let at = block * BLOCK;
        let filled = newest.and_then(|id| {
            let record = self.index.log().record(id);
            match record.data() {
                DataRef::Log(start) => Some(start + (at - record.offset)),
                _ => None,
            }
        });
        let whole = if filled.is_some() {
            filled
        } else {
            let origins = self.index.resolve(&self.here, block);
            if origins.iter().all(|origin| *origin == Origin::Base) {
                return Ok(None);
            }
            whole_write(&origins)
        };
        if let Some(known) = whole.and_then(|offset| self.memo.get(&(block, offset))) {
            return Ok(*known);
        }
        let len = (self.sources.base.size() - at).min(BLOCK) as usize;
        let (content, base) = (&mut self.content[..len], &mut self.base[..len]);
        match whole {
            Some(offset) => self.sources.log.read_at(offset, content)?,
            None => read_state(&self.index, &self.here, &self.sources, at, content)?,
        }
        self.sources.base.read_at(at, base)?;
        let part = (content != base).then(|| hash(block, content));
        if let Some(offset) = whole {
            if self.memo.len() >= MEMO {
                self.memo.clear();
            }
            self.memo.insert((block, offset), part);
        }
        Ok(part)
    }
}

/// Where the log holds the whole block in one piece.
fn whole_write(origins: &[Origin]) -> Option<u64> {
    let Some(Origin::Log(first)) = origins.first() else {
        return None;
    };
    let whole = origins
        .iter()
        .enumerate()
        .all(|(sector, origin)| *origin == Origin::Log(first + sector as u64 * SECTOR));
    whole.then_some(*first)
}

fn hash(block: u64, content: &[u8]) -> Part {
    let mut key = *b"coldcut block content, v1 ......";
    key[24..].copy_from_slice(&block.to_le_bytes());
    let hash = blake3::keyed_hash(&key, content);
    let mut part = [0; 4];
    for (lane, bytes) in part.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
        let mut word = [0; 8];
        word.copy_from_slice(bytes);
        *lane = u64::from_le_bytes(word);
    }
    part
}
