//! Numbers that look random and are the same for a seed, whatever the version.

use coldcut_wire::splitmix::SplitMix;

/// A sequence of numbers.
#[derive(Clone, Debug)]
pub(super) struct Dice(SplitMix);

impl Dice {
    /// The sequence of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(SplitMix::new(seed))
    }

    /// A number below `end`; 0 where there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0.below(end as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, of: usize) -> bool {
        self.below(100) < of
    }

    /// One of these; there is at least one.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}
