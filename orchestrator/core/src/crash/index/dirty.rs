//! The blocks in which one state may differ from another.

use super::block_index::BLOCK;
use crate::crash::state::Selection;
use crate::recording::io::IoKind;
use crate::recording::log::{DataRef, Record, WriteLog};

/// Blocks that one step may look at: 256 GiB.
pub(super) const MAX_DIRTY: u64 = 1 << 26;

/// Bits of an item that say which request touched its block.
const HINT_BITS: u32 = 20;

/// A list of blocks. Most were filled by one write that both states are about, and then that write is known without a
/// search of the index: it is the newest of those that the next state contains, and nothing else that may lie above it
/// (in flight, torn, or in both states) exists.
#[derive(Default)]
pub(super) struct Dirty {
    /// The block's number above `HINT_BITS`; below, 0 for a request that the next state does not contain, otherwise 2
    /// and twice the request's number from `first` on, and 1 if it fills the block. Without hints, the number alone.
    items: Vec<u64>,
    first: u32,
    hints: bool,
}

impl Dirty {
    /// Finds the blocks in which `next` may differ from `here`; false when they are too many.
    pub(super) fn collect(&mut self, log: &WriteLog, here: &Selection, next: &Selection) -> bool {
        self.items.clear();
        let from = here.floor.least().min(next.floor.least());
        let to = here.completed.max(next.completed);
        self.first = from;
        self.hints = next.in_flight.is_empty()
            && next.tears.is_empty()
            && to.saturating_sub(from) < 1 << (HINT_BITS - 2)
            && log.geometry().device_size / BLOCK < 1 << (u64::BITS - HINT_BITS);
        let mut touched = Touched {
            count: 0,
            items: &mut self.items,
            shift: if self.hints { HINT_BITS } else { 0 },
        };
        let mut in_both = false;
        for id in from..to {
            let (before, after) = (here.contains(log, id), next.contains(log, id));
            if before != after {
                let number = if after { Some(id - from) } else { None };
                touched.add(log.record(id), number);
            }
            in_both |= before && after;
        }
        // A request of both states may lie above one that is new.
        let known = self.hints && !in_both;
        let mut unknown = |id: u32| touched.add(log.record(id), None);
        if here.in_flight != next.in_flight || here.completed != next.completed {
            for id in here.in_flight.iter().chain(&next.in_flight) {
                unknown(id.0);
            }
        }
        if here.tears != next.tears {
            for tear in here.tears.iter().chain(&next.tears) {
                unknown(tear.request.0);
            }
        }
        if here.discard != next.discard {
            for id in 0..to {
                if log.record(id).kind == IoKind::Discard {
                    unknown(id);
                }
            }
            for id in here.in_flight.iter().chain(&next.in_flight) {
                unknown(id.0);
            }
        }
        if touched.count > MAX_DIRTY {
            return false;
        }
        let shift = touched.shift;
        // Downwards, so that of each block the newest request stands first.
        self.items.sort_unstable_by(|one, other| other.cmp(one));
        self.items.dedup_by_key(|item| *item >> shift);
        if self.hints && !known {
            for item in &mut self.items {
                *item = *item >> HINT_BITS << HINT_BITS;
            }
        }
        true
    }

    /// The blocks, each once, and the write that fills it where that is known.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (u64, Option<u32>)> {
        self.items.iter().map(|item| {
            if !self.hints {
                return (*item, None);
            }
            let hint = (item & ((1 << HINT_BITS) - 1)) as u32;
            let fills = hint >= 2 && hint & 1 == 1;
            (item >> HINT_BITS, fills.then(|| self.first + (hint >> 1) - 1))
        })
    }
}

struct Touched<'a> {
    count: u64,
    items: &'a mut Vec<u64>,
    shift: u32,
}

impl Touched<'_> {
    /// Notes the blocks of a request; `number` is its index in the range, if the next state contains it.
    fn add(&mut self, record: &Record, number: Option<u32>) {
        if record.kind == IoKind::Flush || record.len == 0 {
            return;
        }
        self.count = self.count.saturating_add(record.len / BLOCK + 2);
        if self.count > MAX_DIRTY {
            return;
        }
        let write = record.kind == IoKind::Write && matches!(record.data(), DataRef::Log(_));
        for block in record.offset / BLOCK..record.end().div_ceil(BLOCK) {
            let hint = match number {
                Some(number) if self.shift > 0 => {
                    let fills =
                        write && record.offset <= block * BLOCK && record.end() - block * BLOCK >= BLOCK;
                    u64::from(number + 1) << 1 | u64::from(fills)
                }
                _ => 0,
            };
            self.items.push(block << self.shift | hint);
        }
    }
}
