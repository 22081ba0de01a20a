//! Names the source of every byte of a file.
//!
//! A whole sector proves itself by its checksum, or is zero. Anything else (a short or unaligned write, a border
//! inside a sector, the file's end) is compared byte by byte with what each known content has at that offset, with
//! what the sector's own header claims, and with zeros. Runs of at least [`CERTAIN`] bytes count; what lies between
//! them counts when it is covered without a gap by shorter ones, and is garbage otherwise.

use std::collections::HashMap;

use coldcut_wire::pattern::{
    HEADER, LABEL, MAGIC, Pattern, RawHeader, SECTOR, claim, identify_raw, label, label_text,
};
use coldcut_wire::{Extent, PatternName, Source};

/// Most extents that one file is described with.
pub(crate) const MAX_EXTENTS: usize = 16_384;
/// A run of so many matching bytes is no accident.
const CERTAIN: usize = 8;
/// Where a sector's checksum is.
const CHECKSUM: std::ops::Range<usize> = 24..32;
/// Shortest run that may help to cover a gap.
const PART: usize = 2;

/// A file has more extents than [`MAX_EXTENTS`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("its content has more than {MAX_EXTENTS} extents")]
pub(crate) struct TooFragmented;

/// The contents that a scenario may have written.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    contents: Vec<Pattern>,
    labels: HashMap<u64, String>,
}

impl Candidates {
    /// Prepares the names; one given twice counts once.
    pub(crate) fn new(names: &[PatternName]) -> Self {
        let mut candidates = Self::default();
        for name in names {
            let content = Pattern::new(name);
            if candidates.labels.insert(content.id, label(name)).is_none() {
                candidates.contents.push(content);
            }
        }
        candidates
    }

    /// Returns the full label of a known content, or the one that its sectors carry.
    fn label(&self, id: u64, found: &[u8; LABEL]) -> String {
        self.labels.get(&id).cloned().unwrap_or_else(|| label_text(found))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Zeros,
    Content { id: u64, at: u64, label: [u8; LABEL] },
    Garbage,
    Unreadable(i32),
}

impl Kind {
    /// Returns the same source, `by` bytes further.
    fn shifted(self, by: u64) -> Self {
        match self {
            Self::Content { id, at, label } => Self::Content {
                id,
                at: at.wrapping_add(by),
                label,
            },
            other => other,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Run {
    offset: u64,
    len: u64,
    kind: Kind,
}

impl Run {
    /// Tells what the next byte is if this run goes on.
    fn next(&self) -> Kind {
        self.kind.shifted(self.len)
    }
}

/// What a piece may be: its kind at the piece's first byte, and the sector's bytes.
struct Guess {
    kind: Kind,
    sector: [u8; SECTOR],
}

/// Collects a file's bytes in order and merges them into extents.
pub(crate) struct Classifier<'a> {
    candidates: &'a Candidates,
    runs: Vec<Run>,
    end: u64,
}

impl<'a> Classifier<'a> {
    /// Starts at the beginning of a file.
    pub(crate) fn new(candidates: &'a Candidates) -> Self {
        Self::from(candidates, 0)
    }

    /// Starts at a part of a file that begins at `offset`, a multiple of 512.
    pub(crate) fn from(candidates: &'a Candidates, offset: u64) -> Self {
        Self {
            candidates,
            runs: Vec::new(),
            end: offset,
        }
    }

    /// Returns how many bytes were described so far.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Describes the next bytes. All but the file's last must be a multiple of 512 long.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<(), TooFragmented> {
        for piece in bytes.chunks(SECTOR) {
            let known = <&[u8; SECTOR]>::try_from(piece).ok().and_then(whole);
            match known {
                Some(kind) => self.push(piece.len() as u64, kind)?,
                None => self.fragments(piece)?,
            }
        }
        Ok(())
    }

    /// Describes the next `len` bytes as a hole.
    pub(crate) fn hole(&mut self, len: u64) -> Result<(), TooFragmented> {
        self.push(len, Kind::Zeros)
    }

    /// Describes the next `len` bytes as unreadable.
    pub(crate) fn unreadable(&mut self, len: u64, errno: i32) -> Result<(), TooFragmented> {
        self.push(len, Kind::Unreadable(errno))
    }

    /// Returns all extents, in order and without gaps.
    pub(crate) fn finish(self) -> Vec<Extent> {
        let extent = |run: &Run| Extent {
            offset: run.offset,
            len: run.len,
            source: match run.kind {
                Kind::Zeros => Source::Zeros,
                Kind::Garbage => Source::Garbage,
                Kind::Unreadable(errno) => Source::Unreadable { errno },
                Kind::Content { id, at, label } => Source::Content {
                    id,
                    at,
                    label: self.candidates.label(id, &label),
                },
            },
        };
        self.runs.iter().map(extent).collect()
    }

    fn push(&mut self, len: u64, kind: Kind) -> Result<(), TooFragmented> {
        if len == 0 {
            return Ok(());
        }
        let count = self.runs.len();
        match self.runs.last_mut() {
            Some(last) if last.next() == kind => last.len += len,
            _ if count >= MAX_EXTENTS => return Err(TooFragmented),
            _ => self.runs.push(Run {
                offset: self.end,
                len,
                kind,
            }),
        }
        self.end += len;
        Ok(())
    }

    fn fragments(&mut self, piece: &[u8]) -> Result<(), TooFragmented> {
        let guesses = self.guesses(piece);
        // lengths[g][p]: how far guess g matches from p on.
        let lengths: Vec<[u16; SECTOR + 1]> = guesses
            .iter()
            .map(|guess| matches(piece, &guess.sector))
            .collect();
        let mut gap = 0; // start of what is not yet explained
        let mut at = 0;
        while at < piece.len() {
            match self.best(&guesses, &lengths, gap, at) {
                Some((guess, len)) if len >= CERTAIN || (at == 0 && len == piece.len()) => {
                    self.fill_gap(&guesses, &lengths, gap, at)?;
                    self.push(len as u64, guess.kind.shifted(at as u64))?;
                    at += len;
                    gap = at;
                }
                _ => at += 1,
            }
        }
        self.fill_gap(&guesses, &lengths, gap, at)
    }

    /// Picks the guess that matches longest at `at`; among equals, the one that continues what came before.
    fn best<'g>(
        &self,
        guesses: &'g [Guess],
        lengths: &[[u16; SECTOR + 1]],
        gap: usize,
        at: usize,
    ) -> Option<(&'g Guess, usize)> {
        let before = (gap == at).then(|| self.runs.last().map(Run::next)).flatten();
        let scored = guesses.iter().zip(lengths).rev().map(|(guess, lengths)| {
            let goes_on = before == Some(guess.kind.shifted(at as u64));
            (guess, usize::from(lengths[at]), goes_on)
        });
        scored
            .max_by_key(|(_, len, goes_on)| (*len, *goes_on))
            .filter(|(_, len, _)| *len > 0)
            .map(|(guess, len, _)| (guess, len))
    }

    /// Explains `from..to`, between two certain runs, as a whole or not at all.
    fn fill_gap(
        &mut self,
        guesses: &[Guess],
        lengths: &[[u16; SECTOR + 1]],
        from: usize,
        to: usize,
    ) -> Result<(), TooFragmented> {
        let mut parts = Vec::new();
        let mut at = from;
        while at < to {
            let Some((guess, len)) = self.best(guesses, lengths, from, at) else {
                break;
            };
            let len = len.min(to - at);
            if len < PART && to - from > 1 {
                break;
            }
            parts.push((len, guess.kind.shifted(at as u64)));
            at += len;
        }
        if at < to {
            return self.push((to - from) as u64, Kind::Garbage);
        }
        parts
            .into_iter()
            .try_for_each(|(len, kind)| self.push(len as u64, kind))
    }

    /// Lists what the piece at `self.end` may consist of.
    fn guesses(&self, piece: &[u8]) -> Vec<Guess> {
        let content = |content: &Pattern, at: u64| Guess {
            kind: Kind::Content {
                id: content.id,
                at,
                label: content.label,
            },
            sector: content.sector(at / SECTOR as u64),
        };
        let contents = &self.candidates.contents;
        let mut guesses = Vec::with_capacity(contents.len() + 2);
        if let Some((claimed, at)) = self.claimed(piece) {
            guesses.push(content(&claimed, at));
        }
        guesses.extend(contents.iter().map(|known| content(known, self.end)));
        guesses.push(Guess {
            kind: Kind::Zeros,
            sector: [0; SECTOR],
        });
        guesses
    }

    /// Returns what the piece's own header says, if more than that header speaks for it: where one content was written over
    /// a part of another, the header can be a mixture of both that names a third, which never was.
    fn claimed(&self, piece: &[u8]) -> Option<(Pattern, u64)> {
        let id = u64::from_le_bytes(*piece.first_chunk()?);
        let at = u64::from_le_bytes(*piece.get(16..)?.first_chunk()?);
        if piece[8..16] != MAGIC || !at.is_multiple_of(SECTOR as u64) {
            return None;
        }
        let known = self.candidates.contents.iter().find(|known| known.id == id);
        let content = match known {
            Some(known) => known.clone(),
            None => Pattern {
                id,
                label: claim(piece)?.label,
            },
        };
        let sector = content.sector(at / SECTOR as u64);
        let proven = match piece.get(CHECKSUM) {
            Some(checksum) if *checksum == sector[CHECKSUM] => true,
            Some(_) => matches(piece, &sector)[HEADER..]
                .iter()
                .any(|len| usize::from(*len) >= CERTAIN),
            // The file ends within the header: the id of a known content is all there is.
            None => known.is_some(),
        };
        proven.then_some((content, at))
    }
}

/// Names the kind of a sector that is of one kind throughout and proves it.
fn whole(sector: &[u8; SECTOR]) -> Option<Kind> {
    if sector.iter().all(|b| *b == 0) {
        return Some(Kind::Zeros);
    }
    let RawHeader { id, offset, label } = identify_raw(sector)?;
    Some(Kind::Content {
        id,
        at: offset,
        label,
    })
}

fn matches(piece: &[u8], sector: &[u8; SECTOR]) -> [u16; SECTOR + 1] {
    let mut lengths = [0; SECTOR + 1];
    for at in (0..piece.len()).rev() {
        if piece[at] == sector[at] {
            lengths[at] = lengths[at + 1] + 1;
        }
    }
    lengths
}

#[cfg(test)]
mod tests;
