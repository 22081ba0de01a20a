//! Bytes that more than one content has in the same place.
//!
//! A sector that one content fills proves itself; one that holds parts of several is described by comparison, and
//! where two contents (or one and zeros) have the same bytes beside a border, the walk may report the border on
//! either side of them (see [`coldcut_wire::Source`]). What a part of a sector is called therefore proves nothing:
//! its bytes count.

use coldcut_wire::pattern::{Pattern, SECTOR};
use coldcut_wire::{Extent, PatternName, Source};

use super::origin::Origins;

const UNIT: u64 = SECTOR as u64;

/// Bytes that are accepted: of a content, or zeros (`None`); of its stream, those of the file's offset and `shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted<'a> {
    pub(crate) name: Option<&'a PatternName>,
    pub(crate) shift: u64,
}

/// How many bytes of `start..end`, a range of the file within this extent, are not what one of the accepted contents
/// (`None` is zeros) has in their place. Each byte may be any of them.
pub(crate) fn wrong(
    extent: &Extent,
    start: u64,
    end: u64,
    accepted: &[Option<&PatternName>],
    origins: &Origins,
) -> u64 {
    let in_place = accepted.iter().map(|&name| Accepted { name, shift: 0 });
    let accepted: Vec<Accepted<'_>> = in_place.collect();
    wrong_among(extent, start, end, &accepted, origins)
}

/// The same for contents that need not be in their place. Whole sectors that are right are not looked for here.
pub(crate) fn wrong_among(
    extent: &Extent,
    start: u64,
    end: u64,
    accepted: &[Accepted<'_>],
    origins: &Origins,
) -> u64 {
    let all = end.saturating_sub(start);
    let (content, shift) = match &extent.source {
        Source::Zeros => (None, 0),
        Source::Content { id, at, .. } => match origins.content(*id) {
            Some(name) => (Some(Pattern::new(name)), at.wrapping_sub(extent.offset)),
            None => return all,
        },
        Source::Garbage | Source::Unreadable { .. } => return all,
    };
    // Whole sectors prove themselves: only the parts at either end can be called by another's name.
    let (first_whole, last_whole) = (
        start.checked_next_multiple_of(UNIT).unwrap_or(u64::MAX),
        end / UNIT * UNIT,
    );
    if first_whole > last_whole {
        return part(content.as_ref(), shift, start, end, accepted);
    }
    (last_whole - first_whole)
        + part(content.as_ref(), shift, start, first_whole, accepted)
        + part(content.as_ref(), shift, last_whole, end, accepted)
}

/// The same for a range within one sector, whose bytes are those of `content` from `start + shift` on.
fn part(content: Option<&Pattern>, shift: u64, start: u64, end: u64, accepted: &[Accepted<'_>]) -> u64 {
    if start >= end {
        return 0;
    }
    let len = (end - start) as usize;
    let bytes = |content: Option<&Pattern>, at: u64| {
        let mut bytes = vec![0; len];
        if let Some(content) = content {
            content.fill(at, &mut bytes);
        }
        bytes
    };
    let found = bytes(content, start.wrapping_add(shift));
    let mut right = vec![false; len];
    for Accepted { name, shift } in accepted {
        let wanted = bytes(name.map(Pattern::new).as_ref(), start.wrapping_add(*shift));
        for (right, (found, wanted)) in right.iter_mut().zip(found.iter().zip(&wanted)) {
            *right |= found == wanted;
        }
    }
    right.iter().filter(|right| !**right).count() as u64
}
