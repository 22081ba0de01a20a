//! What a file holds, and its size.

use std::collections::BTreeSet;
use std::ops::Range;

use coldcut_wire::{Extent, Source, TreeEntry};

use super::super::bytes::{Accepted, wrong_among};
use super::super::data::{covered, describe};
use super::super::tree::shown;
use super::{Broken, Look};
use crate::filesystem::Rule;
use crate::model::{Data, Inode, InodeId, Piece, RangeFloor, Runs, Version, When, Window};
use crate::outcome::verdict::ViolationKind;

/// The contents that a file may have at a cut, all known.
struct May<'m> {
    /// The oldest first.
    runs: Vec<&'m Runs>,
    /// All that are older, where they are known.
    older: Vec<&'m Runs>,
    /// Whether some of those are not.
    forgotten: bool,
    /// The step that promised the oldest.
    by: Option<When>,
    /// Ranges that were promised by themselves: which, from which of `runs` on, by which step.
    ranges: Vec<(Range<u64>, usize, When)>,
}

/// What a byte may be.
struct Allowed {
    pieces: Vec<Piece>,
    /// The step that promised something of it.
    by: Option<When>,
    /// It may be anything.
    any: bool,
}

impl Look<'_> {
    pub(super) fn data(&self, found: &TreeEntry, id: InodeId) -> Vec<Broken> {
        let inode = self.model.inode(id);
        let Some(window) = inode.data.window(self.until, |rule| self.holds(rule)) else {
            return Vec::new();
        };
        let Some(may) = self.may(inode, &window) else {
            return Vec::new();
        };
        let mut broken: Vec<Broken> = self.size(found, &may).into_iter().collect();
        // Where new blocks may show anything, freed ones are given to other files at once.
        let freed = !self.holds(Rule::NoForeignData) && self.may_be_freed(id);
        if covered(found) && !freed {
            broken.extend(self.bytes(found, &may));
        }
        broken
    }

    /// What the file may hold; `None` where that is not known.
    fn may<'m>(&self, inode: &'m Inode, window: &Window<'m, Data>) -> Option<May<'m>> {
        let runs = window.may.iter().map(known).collect::<Option<Vec<_>>>()?;
        let older = inode.data.all()[..window.older].iter().map(known);
        let forgotten = older.clone().any(|runs| runs.is_none());
        let in_force = |floor: &&RangeFloor| floor.by.done <= self.until && self.holds(Rule::SyncedData);
        let ranges = inode.ranges.iter().filter(in_force);
        let ranges = ranges.filter_map(|floor| {
            let index = floor.version.checked_sub(window.older)?;
            (index < runs.len()).then(|| (floor.range.clone(), index, floor.by))
        });
        Some(May {
            ranges: ranges.collect(),
            runs,
            older: older.flatten().collect(),
            forgotten,
            by: window.floor.map(|floor| floor.by),
        })
    }

    fn size(&self, found: &TreeEntry, may: &May<'_>) -> Option<Broken> {
        let sizes = || may.runs.iter().map(|runs| runs.len());
        let (mut least, most) = (sizes().min()?, sizes().max()?);
        let mut by = may.by;
        for (range, from, step) in &may.ranges {
            let least_since = sizes().skip(*from).min()?.min(range.end);
            if least_since > least {
                (least, by) = (least_since, Some(*step));
            }
        }
        if (least..=most).contains(&found.size) {
            return None;
        }
        let wanted = if least == most {
            least.to_string()
        } else {
            format!("{least} to {most}")
        };
        let what = format!(
            "{} has size {}, expected {wanted}",
            shown(&found.path),
            found.size
        );
        let was = found.size < least || may.older.iter().any(|runs| runs.len() >= found.size);
        let rule = if by.is_some() && was || !self.holds(Rule::NothingMadeUp) {
            Rule::SyncedSize
        } else {
            Rule::NothingMadeUp
        };
        Some(self.broken(rule, ViolationKind::Size, &what, by))
    }

    fn bytes(&self, found: &TreeEntry, may: &May<'_>) -> Vec<Broken> {
        let most = may.runs.iter().map(|runs| runs.len()).max().unwrap_or(0);
        let own = may.own();
        let borders = may.borders();
        let mut broken: Vec<Broken> = Vec::new();
        for extent in &found.extents {
            let (start, end) = (extent.offset, (extent.offset + extent.len).min(most));
            let mut at = start;
            while at < end {
                let next = borders
                    .range(at + 1..)
                    .next()
                    .map_or(end, |border| (*border).min(end));
                let allowed = self.allowed(may, at);
                if let Some(one) = self.part(found, extent, at..next, &allowed, &own) {
                    let known = broken.iter().any(|b| (b.rule, b.kind) == (one.rule, one.kind));
                    if !known {
                        broken.push(one);
                    }
                }
                at = next;
            }
        }
        broken
    }

    /// What the byte at an offset may be, and all up to the next border.
    fn allowed(&self, may: &May<'_>, at: u64) -> Allowed {
        let mut from = 0;
        let mut by = may.by;
        for (range, index, step) in &may.ranges {
            if range.contains(&at) && *index >= from {
                (from, by) = (*index, Some(*step));
            }
        }
        let now: Vec<Option<Piece>> = may.runs[from..].iter().map(|runs| runs.at(at)).collect();
        let past_end = now.contains(&None);
        let mut pieces: Vec<Piece> = now.iter().flatten().copied().collect();
        if past_end {
            // The file may have grown over it, without what was written there; and a block that it ended in may still hold
            // what was there before it was cut.
            pieces.push(Piece::Zeros);
            let before = may.older.iter().chain(&may.runs[..from]);
            pieces.extend(before.filter_map(|runs| runs.at(at)));
        }
        let mut seen = Vec::new();
        pieces.retain(|piece| {
            let new = !seen.contains(piece);
            seen.push(*piece);
            new
        });
        // A hole, or space that was only allocated, gets its block when it is written.
        let fresh = past_end || pieces.contains(&Piece::Zeros);
        Allowed {
            any: fresh && now.len() > 1 && !self.holds(Rule::NoForeignData) || past_end && may.forgotten,
            by: by.filter(|_| now[0].is_some()),
            pieces,
        }
    }

    /// Judges a part of an extent, all of which may be the same.
    fn part(
        &self,
        found: &TreeEntry,
        extent: &Extent,
        range: Range<u64>,
        allowed: &Allowed,
        own: &BTreeSet<u64>,
    ) -> Option<Broken> {
        if allowed.any || allowed.accepts(extent) {
            return None;
        }
        let accepted: Vec<Accepted<'_>> = allowed.pieces.iter().map(|piece| self.accepted(*piece)).collect();
        if wrong_among(extent, range.start, range.end, &accepted, self.origins) == 0 {
            return None;
        }
        let kind = match &extent.source {
            Source::Zeros => ViolationKind::Zeros,
            Source::Garbage => ViolationKind::Garbage,
            Source::Unreadable { .. } => ViolationKind::Unreadable,
            Source::Content { id, .. } if own.contains(id) => ViolationKind::Content,
            Source::Content { .. } => ViolationKind::StaleData,
        };
        let rule = match (kind, allowed.by) {
            (ViolationKind::Unreadable, _) => Rule::Readable,
            (_, Some(_)) => Rule::SyncedData,
            (_, None) => Rule::NoForeignData,
        };
        let wanted: Vec<String> = accepted.iter().map(words).collect();
        let what = format!(
            "{} holds {}, expected {} at {}..{}",
            shown(&found.path),
            describe(found, self.origins),
            wanted.join(" or "),
            range.start,
            range.end
        );
        Some(self.broken(rule, kind, &what, allowed.by))
    }

    fn accepted(&self, piece: Piece) -> Accepted<'_> {
        match piece {
            Piece::Zeros => Accepted { name: None, shift: 0 },
            Piece::Pattern { id, shift } => Accepted {
                name: self.model.pattern(id).map(|(name, _)| name),
                shift,
            },
        }
    }
}

impl May<'_> {
    /// Offsets at which what is allowed may change.
    fn borders(&self) -> BTreeSet<u64> {
        let runs = self.runs.iter().chain(&self.older);
        let ends = runs.flat_map(|runs| runs.iter().map(|(range, _)| range.end));
        let floors = self
            .ranges
            .iter()
            .flat_map(|(range, ..)| [range.start, range.end]);
        ends.chain(floors).collect()
    }

    /// The contents that the file ever had.
    fn own(&self) -> BTreeSet<u64> {
        let runs = self.runs.iter().chain(&self.older);
        let pieces = runs.flat_map(|runs| runs.iter());
        pieces
            .filter_map(|(_, piece)| match piece {
                Piece::Pattern { id, .. } => Some(id),
                Piece::Zeros => None,
            })
            .collect()
    }
}

impl Allowed {
    /// Whether the whole extent is accepted as the walk names it, or cannot be told from what is.
    fn accepts(&self, extent: &Extent) -> bool {
        match &extent.source {
            Source::Zeros => self.pieces.contains(&Piece::Zeros),
            Source::Content { id, at, .. } => self.pieces.contains(&Piece::Pattern {
                id: *id,
                shift: at.wrapping_sub(extent.offset),
            }),
            // A part of a sector that was moved says nothing of itself.
            Source::Garbage => {
                let moved = |piece: &Piece| matches!(piece, Piece::Pattern { shift, .. } if *shift != 0);
                self.pieces.iter().any(moved)
            }
            Source::Unreadable { .. } => false,
        }
    }
}

fn known(version: &Version<Data>) -> Option<&Runs> {
    match &version.value {
        Data::Known(runs) => Some(runs),
        Data::Unknown => None,
    }
}

fn words(accepted: &Accepted<'_>) -> String {
    accepted
        .name
        .map_or_else(|| "zeros".to_owned(), coldcut_wire::pattern::label)
}
