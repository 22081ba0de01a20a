//! What a file's extents hold, against what they must.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;

use coldcut_wire::{Extent, PatternName, Source, TreeEntry, pattern};

use super::bytes;
use super::origin::Origins;
use crate::outcome::verdict::ViolationKind;

/// Ranges named in one line of evidence.
const SHOWN: usize = 4;

/// Whether a file's extents cover it from 0 to its size, in order and without gaps.
pub(crate) fn covered(entry: &TreeEntry) -> bool {
    let mut at = 0;
    for extent in &entry.extents {
        if extent.offset != at || extent.len == 0 {
            return false;
        }
        let Some(next) = at.checked_add(extent.len) else {
            return false;
        };
        at = next;
    }
    at == entry.size
}

/// How far a range is from what is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // any of them may be so
pub(crate) struct Distance {
    /// Bytes that are not what they must be, missing or surplus ones included.
    pub(crate) bytes: u64,
    pub(crate) unreadable: bool,
    pub(crate) garbage: bool,
    pub(crate) foreign: bool,
    pub(crate) own: bool,
    pub(crate) zeros: bool,
}

impl Distance {
    /// The kind of violation this is, the gravest first.
    pub(crate) fn kind(&self) -> ViolationKind {
        match self {
            Self { unreadable: true, .. } => ViolationKind::Unreadable,
            Self { garbage: true, .. } => ViolationKind::Garbage,
            Self { foreign: true, .. } => ViolationKind::StaleData,
            Self { own: true, .. } => ViolationKind::Content,
            Self { zeros: true, .. } => ViolationKind::Zeros,
            _ => ViolationKind::Size,
        }
    }
}

/// Compares `range` of a file with contents of which every byte may be any (`None` is zeros), each in its place.
/// Where `whole`, the file must end with the range.
pub(crate) fn distance(
    entry: &TreeEntry,
    range: &Range<u64>,
    whole: bool,
    accepted: &[Option<&PatternName>],
    own: &BTreeSet<String>,
    origins: &Origins,
) -> Distance {
    let mut distance = Distance::default();
    for extent in &entry.extents {
        let start = extent.offset.max(range.start);
        let end = extent.offset.saturating_add(extent.len).min(range.end);
        if start >= end || accepts(extent, accepted) {
            continue;
        }
        let wrong = bytes::wrong(extent, start, end, accepted, origins);
        if wrong == 0 {
            continue;
        }
        distance.bytes = distance.bytes.saturating_add(wrong);
        match &extent.source {
            Source::Zeros => distance.zeros = true,
            Source::Garbage => distance.garbage = true,
            Source::Unreadable { .. } => distance.unreadable = true,
            Source::Content { id, .. } => match origins.content(*id) {
                Some(c) if own.contains(&c.file) => distance.own = true,
                _ => distance.foreign = true,
            },
        }
    }
    let missing = range.end.saturating_sub(entry.size.max(range.start));
    let surplus = if whole {
        entry.size.saturating_sub(range.end)
    } else {
        0
    };
    distance.bytes = distance.bytes.saturating_add(missing).saturating_add(surplus);
    distance
}

fn accepts(extent: &Extent, accepted: &[Option<&PatternName>]) -> bool {
    match &extent.source {
        Source::Zeros => accepted.contains(&None),
        Source::Content { id, at, .. } => {
            *at == extent.offset && accepted.iter().flatten().any(|c| pattern::pattern_id(c) == *id)
        }
        Source::Garbage | Source::Unreadable { .. } => false,
    }
}

/// What a file holds, in words: `config@0`, or its ranges.
pub(crate) fn describe(entry: &TreeEntry, origins: &Origins) -> String {
    let mut runs: Vec<(Range<u64>, String)> = Vec::new();
    for extent in &entry.extents {
        let what = source(extent, origins);
        let end = extent.offset.saturating_add(extent.len);
        match runs.last_mut() {
            Some((range, last)) if *last == what && range.end == extent.offset => range.end = end,
            _ => runs.push((extent.offset..end, what)),
        }
    }
    match runs.as_slice() {
        [] => "nothing (size 0)".to_owned(),
        [(_, what)] => format!("{what} (size {})", entry.size),
        many => {
            let shown = many
                .iter()
                .take(SHOWN)
                .map(|(r, what)| format!("{what} at {}..{}", r.start, r.end));
            let mut text = shown.collect::<Vec<_>>().join(", ");
            if many.len() > SHOWN {
                let _ = write!(text, " and {} more ranges", many.len() - SHOWN);
            }
            text
        }
    }
}

fn source(extent: &Extent, origins: &Origins) -> String {
    match &extent.source {
        Source::Zeros => "zeros".to_owned(),
        Source::Garbage => "garbage".to_owned(),
        Source::Unreadable { errno } => {
            let name = crate::scenario::errno_name(*errno).map_or_else(|| errno.to_string(), str::to_owned);
            format!("unreadable bytes ({name})")
        }
        Source::Content { id, at, label } => {
            let name = match origins.content(*id) {
                None => printable(label.as_bytes()),
                Some(content) => match origins.deleted(content) {
                    None => pattern::label(content),
                    Some(path) => format!("{} of the deleted file {path}", pattern::label(content)),
                },
            };
            if *at == extent.offset {
                name
            } else {
                format!("{name} displaced by {}", displacement(extent.offset, *at))
            }
        }
    }
}

fn displacement(offset: u64, at: u64) -> String {
    if offset > at {
        format!("+{}", offset - at)
    } else {
        format!("-{}", at - offset)
    }
}

/// Bytes from the guest as one line of printable text.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let clean: String = text
        .chars()
        .take(200)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(200).is_some() {
        format!("{clean}…")
    } else {
        clean
    }
}
