//! Leaves parts out for as long as what is left still violates.

use std::ops::Range;

/// A list being reduced. Ask for a [`candidate`](Self::candidate), find out whether it still violates, and
/// [`tell`](Self::tell); at the end no single part can be left out.
#[derive(Clone, Debug)]
pub struct Reducer<T> {
    kept: Vec<T>,
    /// Parts that are left out at once.
    chunk: usize,
    /// Where the next chunk ends, from the end of the list.
    end: usize,
    /// What the candidate leaves out.
    asked: Option<Range<usize>>,
    /// Whether anything was left out since the last pass began.
    changed: bool,
}

impl<T: Clone> Reducer<T> {
    /// Begins with a list that violates.
    pub fn new(all: Vec<T>) -> Self {
        Self {
            chunk: all.len().div_ceil(2).max(1),
            end: all.len(),
            kept: all,
            asked: None,
            changed: false,
        }
    }

    /// What to try next, the last parts left out first; `None` once no single part can go.
    pub fn candidate(&mut self) -> Option<Vec<T>> {
        while self.end == 0 {
            let last = self.chunk == 1;
            if last && !self.changed {
                return None;
            }
            self.chunk = self.chunk.div_ceil(2);
            self.end = self.kept.len();
            self.changed = false;
            if self.kept.is_empty() {
                return None;
            }
        }
        let range = self.end.saturating_sub(self.chunk)..self.end;
        let left = self.kept[..range.start].iter().chain(&self.kept[range.end..]);
        let candidate = left.cloned().collect();
        self.asked = Some(range);
        Some(candidate)
    }

    /// Says whether the last candidate still violates. Without a candidate it does nothing.
    pub fn tell(&mut self, violates: bool) {
        let Some(range) = self.asked.take() else { return };
        self.end = range.start;
        if violates {
            self.kept.drain(range);
            self.changed = true;
        }
    }

    /// What is left.
    pub fn kept(&self) -> &[T] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reduce(all: Vec<u32>, violates: impl Fn(&[u32]) -> bool) -> (Vec<u32>, usize) {
        let mut reducer = Reducer::new(all);
        let mut asked = 0;
        while let Some(candidate) = reducer.candidate() {
            asked += 1;
            reducer.tell(violates(&candidate));
        }
        (reducer.kept().to_vec(), asked)
    }

    #[test]
    fn nothing_that_is_needed_goes() {
        assert_eq!(reduce((0..8).collect(), |_| false).0, (0..8).collect::<Vec<_>>());
        assert_eq!(reduce((0..8).collect(), |_| true).0, Vec::<u32>::new());
        assert_eq!(reduce(Vec::new(), |_| true), (Vec::new(), 0));
    }

    proptest! {
        #[test]
        fn what_is_needed_is_left_and_nothing_else(len in 1u32..40, needed: Vec<u8>) {
            let needed: Vec<u32> = needed.iter().map(|n| u32::from(*n) % len).collect();
            let all: Vec<u32> = (0..len).collect();
            let (kept, asked) = reduce(all, |left| needed.iter().all(|n| left.contains(n)));
            let mut wanted = needed;
            wanted.sort_unstable();
            wanted.dedup();
            prop_assert_eq!(kept, wanted);
            prop_assert!(asked <= (len * len) as usize + 4 * len as usize);
        }

        #[test]
        fn no_single_part_can_go_whatever_violates(len in 1u32..12, salt: u64) {
            // Any set violates or does not, with no order among them; the whole does.
            let all: Vec<u32> = (0..len).collect();
            let violates = |left: &[u32]| {
                let mask = left.iter().fold(0u64, |mask, n| mask | 1 << n);
                left.len() == len as usize || coldcut_wire::splitmix::finalize(mask ^ salt).is_multiple_of(3)
            };
            let (kept, _) = reduce(all, violates);
            prop_assert!(violates(&kept));
            for at in 0..kept.len() {
                let mut less = kept.clone();
                less.remove(at);
                prop_assert!(!violates(&less), "{:?} without {}", kept, at);
            }
        }
    }
}
