//! What a file holds, as runs of bytes with one origin each.

use std::ops::Range;

/// Where a run's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Zeros: a hole, preallocated space, or zeroed by an operation.
    Zeros,
    /// A pattern (see [`coldcut_wire::pattern`]): the byte at file offset `x` is the stream's byte `x + shift`, wrapping.
    Pattern {
        /// [`coldcut_wire::pattern::pattern_id`].
        id: u64,
        /// 0 unless the data was moved within its file.
        shift: u64,
    },
}

/// A file's bytes from 0 to its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Where each run ends, and what it is: in order, without gaps, none empty.
    runs: Vec<(u64, Piece)>,
}

impl Runs {
    /// The file's size in bytes.
    pub fn len(&self) -> u64 {
        self.runs.last().map_or(0, |(end, _)| *end)
    }

    /// Whether the file is empty.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The runs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Range<u64>, Piece)> + '_ {
        let starts = std::iter::once(0).chain(self.runs.iter().map(|(end, _)| *end));
        starts
            .zip(&self.runs)
            .map(|(start, (end, piece))| (start..*end, *piece))
    }

    /// What the byte at `offset` is; `None` at and past the end.
    pub fn at(&self, offset: u64) -> Option<Piece> {
        let run = self.runs.partition_point(|(end, _)| *end <= offset);
        self.runs.get(run).map(|(_, piece)| *piece)
    }

    /// Writes a range: what lies between the end and its start becomes zeros.
    pub fn put(&mut self, range: Range<u64>, piece: Piece) {
        if range.is_empty() {
            return;
        }
        if self.len() < range.start {
            self.resize(range.start);
        }
        let tail = self.split_off(range.end);
        self.cut(range.start);
        self.push(range.end, piece);
        self.extend(range.end, &tail, 0);
    }

    /// Truncates the file, or extends it with zeros.
    pub fn resize(&mut self, len: u64) {
        if len > self.len() {
            self.push(len, Piece::Zeros);
        } else {
            self.cut(len);
        }
    }

    /// Makes zeros of the part of a range that lies within the file.
    pub fn zero(&mut self, range: Range<u64>) {
        let end = range.end.min(self.len());
        self.put(range.start.min(end)..end, Piece::Zeros);
    }

    /// Takes a range out: what follows it moves down.
    pub fn collapse(&mut self, range: Range<u64>) {
        let tail = self.split_off(range.end);
        self.cut(range.start);
        self.extend(range.start, &tail, range.end - range.start);
    }

    /// Puts zeros in: what is at and after the start of the range moves up.
    pub fn insert(&mut self, range: Range<u64>) {
        let tail = self.split_off(range.start);
        self.cut(range.start);
        self.push(range.end, Piece::Zeros);
        self.extend(range.end, &tail, (range.end - range.start).wrapping_neg());
    }

    /// Forgets everything from `len` on.
    fn cut(&mut self, len: u64) {
        let keep = self.runs.partition_point(|(end, _)| *end <= len);
        let split = self.runs.get(keep).map(|(_, piece)| *piece);
        self.runs.truncate(keep);
        if let Some(piece) = split
            && len > self.len()
        {
            self.push(len, piece);
        }
    }

    /// What is at and after `from`: the lengths of runs, and what they are.
    fn split_off(&self, from: u64) -> Vec<(u64, Piece)> {
        let after = self.iter().filter(|(range, _)| range.end > from);
        after
            .map(|(range, piece)| (range.end - range.start.max(from), piece))
            .collect()
    }

    /// Appends runs at `at`, which is the end; their data was `moved` bytes further on.
    fn extend(&mut self, mut at: u64, tail: &[(u64, Piece)], moved: u64) {
        for (len, piece) in tail {
            at += len;
            let piece = match *piece {
                Piece::Zeros => Piece::Zeros,
                Piece::Pattern { id, shift } => Piece::Pattern {
                    id,
                    shift: shift.wrapping_add(moved),
                },
            };
            self.push(at, piece);
        }
    }

    fn push(&mut self, end: u64, piece: Piece) {
        match self.runs.last_mut() {
            Some((last, same)) if *same == piece => *last = end,
            _ => self.runs.push((end, piece)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn pattern(id: u64) -> Piece {
        Piece::Pattern { id, shift: 0 }
    }

    /// One byte of a naive model: the stream's id and offset; zeros have none.
    type Byte = Option<(u64, u64)>;

    fn bytes(runs: &Runs) -> Vec<Byte> {
        let byte = |(offset, piece): (u64, Piece)| match piece {
            Piece::Zeros => None,
            Piece::Pattern { id, shift } => Some((id, offset.wrapping_add(shift))),
        };
        let all = runs
            .iter()
            .flat_map(|(range, piece)| range.map(move |at| (at, piece)));
        all.map(byte).collect()
    }

    proptest! {
        #[test]
        fn runs_are_what_bytes_would_be(steps in prop::collection::vec((0..6u8, 0..40u64, 1..20u64), 1..30)) {
            let (mut runs, mut naive) = (Runs::default(), Vec::<Byte>::new());
            for (id, (what, at, len)) in steps.into_iter().enumerate() {
                let (id, start, end) = (id as u64, at as usize, (at + len) as usize);
                match what {
                    0 | 1 => {
                        runs.put(at..at + len, pattern(id));
                        naive.resize(naive.len().max(end), None);
                        for (offset, byte) in naive[start..end].iter_mut().enumerate() {
                            *byte = Some((id, at + offset as u64));
                        }
                    }
                    2 => {
                        runs.resize(at);
                        naive.resize(start, None);
                    }
                    3 => {
                        runs.zero(at..at + len);
                        let end = end.min(naive.len());
                        naive[start.min(end)..end].fill(None);
                    }
                    4 if end < naive.len() => {
                        runs.collapse(at..at + len);
                        naive.drain(start..end);
                    }
                    5 if start < naive.len() => {
                        runs.insert(at..at + len);
                        naive.splice(start..start, vec![None; len as usize]);
                    }
                    _ => {}
                }
                prop_assert_eq!(bytes(&runs), naive.clone());
                prop_assert_eq!(runs.len(), naive.len() as u64);
                for offset in 0..naive.len() as u64 + 2 {
                    prop_assert_eq!(runs.at(offset).is_some(), offset < runs.len());
                }
            }
        }
    }
}
