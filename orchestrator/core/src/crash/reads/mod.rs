//! What a recovery read of the disk that the power cut left, and what follows from it.
//!
//! A recovery is a function of what it reads: a guest that starts from the same memory and finds the same bytes at
//! every place at which it looks does the same. So two crash states that agree, byte for byte, on the blocks that one's
//! recovery read recover alike, however much else they differ in. [`Reads`] is such a list of blocks, [`ReadIndex`]
//! finds an earlier recovery that answers for a state, and [`Explorer`] covers every state of a cut by turning around, one
//! after the other, the choices on which a recovery's reads depended.
//!
//! The idea of choosing lazily, by what is read, is that of Jaaru (Gorjiara, Xu, Demsky: "Jaaru: efficiently model
//! checking persistent memory programs", ASPLOS 2021); turning choices around with those before them fixed is how
//! concolic testing explores a program's paths (Godefroid, Klarlund, Sen: "DART", PLDI 2005). Vinter (Kalbfleisch and
//! others, USENIX ATC 2022) uses the reads of a recovery to choose which images to test.

mod digests;
mod exploration;
mod explore;
mod place;
mod read_index;
mod region;
mod sample;
mod space;

pub use digests::Digests;
pub use exploration::{Answer, Ask, Exploration, Next, RecoveryNumber, Sample};
pub use explore::{Answered, Coverage, Explorer, Task};
pub use place::Place;
pub use read_index::ReadIndex;
pub use region::Region;
pub use space::{LogSpace, SpaceError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::crash::index::Digest;

/// The digest of a block's bytes: the first 16 bytes of their BLAKE3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockDigest(pub [u8; 16]);

impl Serialize for BlockDigest {
    /// As 32 hexadecimal digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Digest(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BlockDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Digest::deserialize(deserializer)?.0))
    }
}

impl BlockDigest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::first(blake3::hash(bytes))
    }

    /// The digest of some sectors of a block, given the block's bytes: of all that are meant, one after the other.
    pub fn of_sectors(block: &[u8], sectors: u8) -> Self {
        let mut digest = BlockDigester::default();
        for run in Place::runs(sectors) {
            let of = |sector: u64| block.len().min((sector * Place::SECTOR) as usize);
            digest.add(&block[of(run.start)..of(run.end)]);
        }
        digest.finish()
    }

    fn first(hash: blake3::Hash) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&hash.as_bytes()[..16]);
        Self(first)
    }
}

/// Makes a [`BlockDigest`] of sectors that are given one after the other, in runs.
#[derive(Clone, Debug, Default)]
pub struct BlockDigester(blake3::Hasher);

impl BlockDigester {
    /// Adds the bytes of some sectors.
    pub fn add(&mut self, sectors: &[u8]) {
        self.0.update(sectors);
    }

    /// The digest of all that was added.
    pub fn finish(&self) -> BlockDigest {
        BlockDigest::first(self.0.finalize())
    }
}

/// A block, or a part of one, that was read before the guest wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRead {
    /// Its number, in blocks of [`super::index::BLOCK`] bytes.
    pub block: u64,
    /// Which of its sectors, as [`Place::sectors`] says.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub sectors: u8,
    /// What they held.
    pub digest: BlockDigest,
    /// The file of which it is data and nothing else, data that the kernel only copies; `None` for all that may decide
    /// what a recovery does. A number that is the same in all recoveries that found the same metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u64>,
    /// What the guest was doing when it read it, as far as the host could tell; nothing is decided by it. `None` in what
    /// was kept before this was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Reader>,
}

fn all() -> u8 {
    Place::ALL
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde passes it
fn is_all(sectors: &u8) -> bool {
    *sectors == Place::ALL
}

impl BlockRead {
    /// Where it was read.
    pub fn place(&self) -> Place {
        Place {
            block: self.block,
            sectors: self.sectors,
        }
    }

    /// Whether the same was read, whoever read it.
    pub fn same_as(&self, other: &Self) -> bool {
        (self.place(), self.digest) == (other.place(), other.digest)
    }
}

/// The number of a block that is on no disk. What it holds is what the programs of a recovery are asked about: a recovery
/// with programs in it reads it first, so that it answers only for states at which the same is asked.
pub const ASKED: u64 = u64::MAX;

impl BlockRead {
    /// Has read what programs are asked about.
    pub fn asked(question: Digest) -> Self {
        Self {
            block: ASKED,
            sectors: Place::ALL,
            digest: BlockDigest(question.0),
            file: None,
            by: None,
        }
    }
}

/// What a guest reads a block for. The next begins when the host has the answer about the one before, so the first reads
/// of one may still be counted to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reader {
    /// Mounting, which is where a journal is replayed.
    Mount,
    /// Looking at every name and every byte.
    Walk,
    /// Running the programs that judge what was recovered.
    Verify,
    /// Unmounting.
    Unmount,
}

impl Reader {
    /// All of them, in the order in which they read.
    pub const ALL: [Self; 4] = [Self::Mount, Self::Walk, Self::Verify, Self::Unmount];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            Self::Walk => "walk",
            Self::Verify => "verify",
            Self::Unmount => "unmount",
        }
    }
}

/// Everything that a recovery read, in the order in which it first read it.
pub type Reads = Vec<BlockRead>;

/// Choices of which a disk's content is made, each with a number of alternatives from 0 on. An assignment of all of
/// them is a crash state.
pub trait Space {
    /// How many alternatives each choice has, at least 1.
    fn alternatives(&self) -> &[u32];

    /// Asks for every choice on which the content of a place depends, given what was answered before: choices that other
    /// answers have made irrelevant are not asked for. The same answers lead to the same questions.
    fn depends(&self, place: Place, ask: &mut dyn FnMut(usize) -> u32);
}
