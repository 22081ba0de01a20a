//! What was written on top of an image: a sparse map of 4 KiB blocks in memory.

use std::ops::Range;

use coldcut_core::crash::reads::Place;

/// Bytes of a block.
pub(super) const BLOCK: u64 = 4096;
const BLOCK_LEN: usize = BLOCK as usize;
const ALL: u8 = Place::ALL;
/// Blocks of a group: 2 MiB.
const GROUP: usize = 512;

type Block = Box<[u8; BLOCK_LEN]>;

#[derive(Debug, Default)]
enum Slot {
    /// The image below shows through.
    #[default]
    Absent,
    Zero,
    /// These sectors, one bit each; elsewhere the image below shows through.
    Part(Block, u8),
    Data(Block),
}

#[derive(Debug, Default)]
enum Group {
    #[default]
    Absent,
    Zero,
    Mixed(Box<[Slot; GROUP]>),
}

/// What an overlay knows of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockState<'a> {
    /// Nothing: the image below shows through.
    Absent,
    /// It is all zeros.
    Zero,
    /// These sectors of it, one bit each, hold these bytes; elsewhere the image below shows through.
    Part(&'a [u8; BLOCK_LEN], u8),
    /// These bytes.
    Data(&'a [u8; BLOCK_LEN]),
}

/// Sectors that replace those of an image below. The caller makes sure that ranges lie inside the device, and begin and end
/// between two sectors.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    groups: Vec<Group>,
    /// Bytes for which memory was taken.
    held: u64,
}

impl Overlay {
    /// Whether nothing was ever written.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Bytes for which memory was taken, at most.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// What is known of block number `block`.
    pub(super) fn block(&self, block: u64) -> BlockState<'_> {
        let (group, slot) = locate(block);
        match self.groups.get(group) {
            None | Some(Group::Absent) => BlockState::Absent,
            Some(Group::Zero) => BlockState::Zero,
            Some(Group::Mixed(slots)) => match &slots[slot] {
                Slot::Absent => BlockState::Absent,
                Slot::Zero => BlockState::Zero,
                Slot::Part(data, sectors) => BlockState::Part(data, *sectors),
                Slot::Data(data) => BlockState::Data(data),
            },
        }
    }

    /// The first block from `block` on that is not absent; `None` when there is none, or none before `limit` (what
    /// lies beyond that is not always looked at).
    pub(super) fn next_present(&self, block: u64, limit: u64) -> Option<u64> {
        let (first, mut slot) = locate(block);
        let groups = (limit.div_ceil(GROUP as u64) as usize).min(self.groups.len());
        for (index, group) in self.groups[..groups].iter().enumerate().skip(first) {
            match group {
                Group::Absent => {}
                Group::Zero => return Some((index * GROUP + slot) as u64),
                Group::Mixed(slots) => {
                    let found = slots[slot..]
                        .iter()
                        .position(|slot| !matches!(slot, Slot::Absent));
                    if let Some(found) = found {
                        return Some((index * GROUP + slot + found) as u64);
                    }
                }
            }
            slot = 0;
        }
        None
    }

    /// Stores `data` at byte `offset`. Nothing is read of what lies beside it: who notes what is read ([`crate::Noted`])
    /// would take that for what the guest wanted to know.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        let mut data = data;
        let mut at = offset;
        while !data.is_empty() {
            let within = (at % BLOCK) as usize;
            let (now, rest) = data.split_at(data.len().min(BLOCK_LEN - within));
            let slot = self.slot(at / BLOCK);
            if now.len() == BLOCK_LEN && is_zero(now) {
                *slot = Slot::Zero;
            } else {
                let sectors = touched(within, now.len());
                let fresh = matches!(slot, Slot::Absent | Slot::Zero);
                slot.put(within, sectors, |bytes| bytes[..now.len()].copy_from_slice(now));
                self.held += if fresh { BLOCK } else { 0 };
            }
            at += now.len() as u64;
            data = rest;
        }
    }

    /// Makes `range` read as zeros.
    pub(super) fn zero(&mut self, range: Range<u64>) {
        let group_bytes = GROUP as u64 * BLOCK;
        let mut at = range.start;
        while at < range.end {
            if at.is_multiple_of(group_bytes) && range.end - at >= group_bytes {
                *self.group((at / group_bytes) as usize) = Group::Zero;
                at += group_bytes;
                continue;
            }
            let within = (at % BLOCK) as usize;
            let len = (BLOCK_LEN - within).min((range.end - at) as usize);
            let slot = self.slot(at / BLOCK);
            match slot {
                Slot::Zero => {}
                Slot::Absent | Slot::Part(..) | Slot::Data(_) if len < BLOCK_LEN => {
                    slot.put(within, touched(within, len), |bytes| bytes[..len].fill(0));
                }
                Slot::Absent | Slot::Part(..) | Slot::Data(_) => *slot = Slot::Zero,
            }
            at += len as u64;
        }
    }

    fn group(&mut self, index: usize) -> &mut Group {
        if self.groups.len() <= index {
            self.groups.resize_with(index + 1, Group::default);
        }
        &mut self.groups[index]
    }

    fn slot(&mut self, block: u64) -> &mut Slot {
        let (group, slot) = locate(block);
        let group = self.group(group);
        let fill = match group {
            Group::Absent => Some((|| Slot::Absent) as fn() -> Slot),
            Group::Zero => Some((|| Slot::Zero) as fn() -> Slot),
            Group::Mixed(_) => None,
        };
        if let Some(fill) = fill {
            *group = Group::Mixed(Box::new(std::array::from_fn(|_| fill())));
        }
        match group {
            Group::Mixed(slots) => &mut slots[slot],
            Group::Absent | Group::Zero => unreachable!("made mixed above"),
        }
    }
}

impl Slot {
    /// Changes the bytes from `within` on, after which these sectors are known.
    fn put(&mut self, within: usize, sectors: u8, change: impl FnOnce(&mut [u8])) {
        let (mut data, known) = match std::mem::take(self) {
            Self::Absent => (zero_block(), 0),
            Self::Zero => (zero_block(), ALL),
            Self::Part(data, known) => (data, known),
            Self::Data(data) => (data, ALL),
        };
        change(&mut data[within..]);
        *self = match known | sectors {
            ALL => Self::Data(data),
            known => Self::Part(data, known),
        };
    }
}

/// The sectors that these bytes of a block touch.
fn touched(within: usize, len: usize) -> u8 {
    Place::touched(0, within as u64, (within + len) as u64)
}

/// The group that a block lies in, and its slot there.
fn locate(block: u64) -> (usize, usize) {
    ((block / GROUP as u64) as usize, (block % GROUP as u64) as usize)
}

fn zero_block() -> Block {
    Box::new([0; BLOCK_LEN])
}

/// Whether all of `bytes` are zero. One comparison of memory with itself, shifted by one: quick in every build.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    match bytes {
        [] => true,
        [first, rest @ ..] => *first == 0 && bytes[..rest.len()] == *rest,
    }
}
