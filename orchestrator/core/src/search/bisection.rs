//! Which kernel to run next, and what the answer is.

use super::{Decision, Observation, Runs, Sequential, Side};

/// How far from the middle a kernel is its neighbour.
const NEIGHBOURS: usize = 1;

/// A line of fewer than two kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a search needs at least two kernels; there are {0}")]
pub struct TooFewKernels(pub usize);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run this kernel, and tell the search what came of it.
    Run(usize),
    /// Nothing: this is the answer.
    Done(Answer),
}

/// The answer of a search; kernels are named by their index, from 0, the oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The change lies between two kernels that were both tested.
    Between {
        /// The last of the old side.
        last_old: usize,
        /// The first of the new side.
        first_new: usize,
        /// The untestable ones between the two: the change may be in any of them, or in `first_new`.
        unknown: Vec<usize>,
    },
    /// Both ends are of one side: there is nothing to find between them.
    Alike {
        /// Which side.
        side: Side,
        /// The oldest that is testable.
        oldest: usize,
        /// The newest that is.
        newest: usize,
    },
    /// The old end is of the new side, and the new end of the old one.
    WrongWay {
        /// The oldest that is testable.
        oldest: usize,
        /// The newest that is.
        newest: usize,
    },
    /// At most one kernel is testable.
    Untestable {
        /// That one, and its side.
        only: Option<(usize, Side)>,
    },
}

/// One kernel of the line.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// What its runs showed.
    pub runs: Runs,
    /// What that says.
    pub decision: Decision,
}

/// A search over kernels in version order.
///
/// It tests both ends first, so that ends the wrong way round or alike are found by two probes; then it halves what
/// lies between. Where nothing is flaky or untestable it tests at most ⌈log₂(n − 1)⌉ + 2 of n kernels, both ends
/// counted, each once.
#[derive(Clone, Debug)]
pub struct Search {
    test: Sequential,
    kernels: Vec<Runs>,
}

impl Search {
    /// A search over `count` kernels of which nothing is known.
    ///
    /// # Errors
    /// [`TooFewKernels`].
    pub fn new(count: usize, test: Sequential) -> Result<Self, TooFewKernels> {
        if count < 2 {
            return Err(TooFewKernels(count));
        }
        Ok(Self {
            test,
            kernels: vec![Runs::default(); count],
        })
    }

    /// Takes what a run of a kernel showed. An index outside the line is ignored.
    pub fn observe(&mut self, index: usize, seen: Observation) {
        if let Some(runs) = self.kernels.get_mut(index) {
            runs.add(seen);
        }
    }

    /// Every kernel, the oldest first.
    pub fn kernels(&self) -> impl ExactSizeIterator<Item = Kernel> {
        self.kernels.iter().map(|runs| Kernel {
            runs: *runs,
            decision: self.test.decide(*runs),
        })
    }

    /// How many kernels were run at all.
    pub fn probes(&self) -> usize {
        self.kernels.iter().filter(|runs| runs.total() > 0).count()
    }

    /// How many runs there were.
    pub fn runs(&self) -> u32 {
        self.kernels.iter().map(|runs| runs.total()).sum()
    }

    /// The kernels between which the change is at present: the last old and the first new one, once both are known.
    pub fn bounds(&self) -> Option<(usize, usize)> {
        match (
            self.end(0..self.kernels.len()),
            self.end((0..self.kernels.len()).rev()),
        ) {
            (End::Is(old, Side::Old), End::Is(new, Side::New)) => Some(self.narrow(old, new)),
            _ => None,
        }
    }

    /// What to do next. It follows from the observations alone, in whichever order they came.
    pub fn next(&self) -> Next {
        let count = self.kernels.len();
        let (oldest, newest) = match (self.end(0..count), self.end((0..count).rev())) {
            (End::Open(index), _) | (_, End::Open(index)) => return Next::Run(index),
            (End::None, _) | (_, End::None) => return Next::Done(Answer::Untestable { only: None }),
            (End::Is(oldest, a), End::Is(newest, b)) => ((oldest, a), (newest, b)),
        };
        match (oldest, newest) {
            ((one, side), (other, _)) if one == other => Next::Done(Answer::Untestable {
                only: Some((one, side)),
            }),
            ((oldest, Side::New), (newest, Side::Old)) => Next::Done(Answer::WrongWay { oldest, newest }),
            ((oldest, a), (newest, b)) if a == b => Next::Done(Answer::Alike {
                side: a,
                oldest,
                newest,
            }),
            ((oldest, _), (newest, _)) => {
                let (last_old, first_new) = self.narrow(oldest, newest);
                match self.candidate(last_old, first_new) {
                    Some(index) => Next::Run(index),
                    None => Next::Done(Answer::Between {
                        last_old,
                        first_new,
                        unknown: (last_old + 1..first_new).collect(),
                    }),
                }
            }
        }
    }

    fn decision(&self, index: usize) -> Decision {
        self.test.decide(self.kernels[index])
    }

    /// The first testable kernel from an end inwards.
    fn end(&self, inwards: impl Iterator<Item = usize>) -> End {
        for index in inwards {
            match self.decision(index) {
                Decision::Open => return End::Open(index),
                Decision::Is(side) => return End::Is(index, side),
                Decision::Untestable => {}
            }
        }
        End::None
    }

    /// The narrowest pair of an old and a new kernel with nothing decided between them that halving would have come
    /// to. From observations out of order (of a line that changes more than once) it still gives one such pair.
    fn narrow(&self, mut old: usize, mut new: usize) -> (usize, usize) {
        loop {
            let middle = old.midpoint(new);
            let decided = (old + 1..new)
                .filter_map(|index| match self.decision(index) {
                    Decision::Is(side) => Some((index, side)),
                    _ => None,
                })
                .min_by_key(|(index, _)| index.abs_diff(middle));
            match decided {
                Some((index, Side::Old)) => old = index,
                Some((index, Side::New)) => new = index,
                None => return (old, new),
            }
        }
    }

    /// The kernel to run between two, if any is left: the middle one, or where that is untestable one of its
    /// neighbours. Where those are untestable too it looks like a cluster: then the middle of the longest stretch of
    /// which nothing is known, so that the cluster is left soon, wherever it ends. It is gone through only if the
    /// change turns out to be in it.
    fn candidate(&self, old: usize, new: usize) -> Option<usize> {
        let open = |index: &usize| self.decision(*index) == Decision::Open;
        if let Some(started) = (old + 1..new).find(|p| open(p) && self.kernels[*p].total() > 0) {
            return Some(started);
        }
        let middle = old.midpoint(new);
        let nearest = (old + 1..new).filter(open).min_by_key(|p| p.abs_diff(middle))?;
        if nearest.abs_diff(middle) <= NEIGHBOURS {
            return Some(nearest);
        }
        let mut longest = nearest..nearest;
        let mut start = old + 1;
        for index in old + 1..=new {
            if index == new || !open(&index) {
                if index - start > longest.len() {
                    longest = start..index;
                }
                start = index + 1;
            }
        }
        Some(longest.start.midpoint(longest.end - 1))
    }
}

/// What an end of the line comes to.
enum End {
    /// This kernel must be run first.
    Open(usize),
    /// The first testable kernel and its side.
    Is(usize, Side),
    /// None is testable.
    None,
}
