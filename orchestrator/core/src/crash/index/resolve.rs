//! Where each sector of a block comes from in a state.

use super::block_index::{BLOCK, BlockIndex};
use crate::covered::{Case, hit};
use crate::crash::state::{DiscardAs, Selection, Tear, TornPart};
use crate::recording::io::IoKind;
use crate::recording::log::{DataRef, Record};

/// The unit in which origins are told apart.
pub(crate) const SECTOR: u64 = 512;
pub(crate) const SECTORS: usize = (BLOCK / SECTOR) as usize;

/// Where the content of each sector of a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origins([Origin; SECTORS]);

impl Origins {
    /// Those of these sectors, one bit each; the others are all alike.
    #[must_use]
    pub fn only(mut self, sectors: u8) -> Self {
        for (sector, origin) in self.0.iter_mut().enumerate() {
            if sectors >> sector & 1 == 0 {
                *origin = Origin::Base;
            }
        }
        self
    }
}

/// Where a sector's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// At its own place in the base image.
    Base,
    /// From this byte of the log on.
    Log(u64),
    /// From this byte of the sidecar on.
    Sidecar(u64),
    /// Zeros.
    Zeros,
    /// Bytes that nobody wrote.
    Garbage,
}

impl BlockIndex {
    /// Where a block of a state has its bytes.
    pub(super) fn origins(&self, selection: &Selection, block: u64) -> Origins {
        Origins(self.resolve(selection, block))
    }

    /// The origin of each sector of a block.
    pub(crate) fn resolve(&self, selection: &Selection, block: u64) -> [Origin; SECTORS] {
        let mut origins = [Origin::Base; SECTORS];
        let mut open: u8 = 0xff;
        let mut forced: u8 = 0;
        let mut take = |id: u32, record: &Record| {
            let covered = coverage(record, block, selection.tear(id));
            if record.fua {
                forced |= covered & open;
            } else if id >= selection.floor.of(usize::from(record.disk)) && covered & forced != 0 {
                hit(Case::VolatileUnderDurable);
            }
            let covered = covered & open;
            if covered == 0xff {
                // Most often: one request has the whole block.
                origins = origins_of(record, block * BLOCK, selection.discard);
                return true;
            }
            for (sector, origin) in origins.iter_mut().enumerate() {
                if covered >> sector & 1 == 1 {
                    let at = block * BLOCK + sector as u64 * SECTOR;
                    *origin = origin_at(record, at, selection.discard);
                }
            }
            open &= !covered;
            open == 0
        };
        let log = self.log();
        for request in selection.in_flight.iter().rev() {
            if take(request.0, log.record(request.0)) {
                return origins;
            }
        }
        let bound = self.bound(selection);
        let mut lists = [&[][..]; 16];
        let mut count = 0;
        for list in self.lists(block) {
            let before = &list[..list.partition_point(|id| *id < bound)];
            if !before.is_empty() {
                lists[count] = before;
                count += 1;
            }
        }
        let lists = &mut lists[..count];
        while let Some(list) = lists.iter_mut().max_by_key(|list| list.last().copied()) {
            let Some((id, rest)) = list.split_last() else {
                break;
            };
            *list = rest;
            let (id, older) = (*id, !rest.is_empty());
            if selection.contains(log, id) {
                let record = log.record(id);
                if older && record.kind == IoKind::Discard {
                    hit(Case::DiscardOverDirty);
                }
                if take(id, record) {
                    break;
                }
            }
        }
        origins
    }

    /// No completed request from here on is in the state.
    fn bound(&self, selection: &Selection) -> u32 {
        let most = selection.floor.most();
        if selection.is_prefix() && !self.any_fua(most, selection.completed) {
            most
        } else {
            selection.completed
        }
    }
}

/// The sectors of a block that a request covers, one bit each.
pub(in crate::crash) fn coverage(record: &Record, block: u64, tear: Option<&Tear>) -> u8 {
    let start = block * BLOCK;
    if record.end() <= start || record.offset >= start + BLOCK {
        return 0;
    }
    let first = record.offset.saturating_sub(start) / SECTOR;
    let last = (record.end() - start).min(BLOCK).div_ceil(SECTOR);
    let mut mask = (0xff_u8 << first) & (0xff_u8 >> (SECTORS as u64 - last));
    if let Some(tear) = tear {
        for sector in 0..SECTORS as u64 {
            if !survives(record, tear, start + sector * SECTOR) {
                mask &= !(1 << sector);
                match tear.part {
                    TornPart::First(_) => hit(Case::TornTail),
                    TornPart::Last(_) => hit(Case::TornHead),
                    TornPart::Even | TornPart::Odd => {}
                }
            }
        }
    }
    mask
}

/// Whether the atomic unit that holds byte `at` is among those of a torn request that made it.
fn survives(record: &Record, tear: &Tear, at: u64) -> bool {
    if at < record.offset || at >= record.end() {
        return false;
    }
    let unit = u64::from(tear.unit);
    let first = record.offset / unit;
    let units = record.end().div_ceil(unit) - first;
    let index = at / unit - first;
    match tear.part {
        TornPart::First(count) => index < u64::from(count),
        TornPart::Last(count) => index >= units - u64::from(count),
        TornPart::Even => index.is_multiple_of(2),
        TornPart::Odd => !index.is_multiple_of(2),
    }
}

/// The origins of the sectors from byte `start` on, all of which the request covers.
fn origins_of(record: &Record, start: u64, discard: DiscardAs) -> [Origin; SECTORS] {
    let first = origin_at(record, start, discard);
    std::array::from_fn(|sector| first.skip(sector as u64 * SECTOR))
}

impl Origin {
    /// The origin of what stands so many bytes further on.
    pub(crate) fn skip(self, bytes: u64) -> Self {
        match self {
            Self::Log(at) => Self::Log(at + bytes),
            Self::Sidecar(at) => Self::Sidecar(at + bytes),
            other => other,
        }
    }
}

fn origin_at(record: &Record, at: u64, discard: DiscardAs) -> Origin {
    match (record.kind, discard) {
        (IoKind::Discard, DiscardAs::Garbage) => return Origin::Garbage,
        (IoKind::Write, _) => {}
        _ => return Origin::Zeros,
    }
    match record.data() {
        DataRef::Log(start) => Origin::Log(start + (at - record.offset)),
        DataRef::Sidecar(start) => {
            hit(Case::InFlightFromSidecar);
            Origin::Sidecar(start + (at - record.offset))
        }
        // Never chosen.
        DataRef::None | DataRef::Lost => Origin::Zeros,
    }
}
