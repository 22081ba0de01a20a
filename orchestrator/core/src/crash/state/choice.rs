//! The recipe of a crash state.

use num_bigint::BigUint;
use serde::{Deserialize, Serialize};

use crate::recording::log::{Cut, RequestId};

/// Which plan a state comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PlanKind {
    /// At every flush and FUA completion, before every BEGIN, at every other mark, and at the end: what is durable, and
    /// that plus all that completed.
    Barriers,
    /// After every write: all that completed.
    Writes,
    /// Before every flush and FUA completion, at every mark and at the end: subsets of what is volatile.
    Reorder,
    /// At the same cuts: one volatile write torn at the atomic unit.
    Torn,
    /// At the same cuts: subsets of what is volatile, one write of each torn at the atomic unit.
    Combinations,
    /// At marks or entries that were asked for by name.
    At,
    /// At the cuts of `reorder`: every subset of what is volatile, in every order, covered by what recoveries read.
    All,
    /// The same, with each write whole, absent, or torn at the atomic unit in the ways of `torn`.
    AllTorn,
}

impl PlanKind {
    /// Whether its states are covered by what recoveries read, not listed.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::All | Self::AllTorn)
    }
}

/// A crash state: a recipe, never a copied image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CrashState {
    /// Which plan made it.
    pub plan: PlanKind,
    /// When the power is cut.
    pub cut: Cut,
    /// Which volatile writes made it to the disk.
    pub set: Set,
    /// In which order overlapping writes in flight were applied: a rank among their permutations, 0 for the order of
    /// their submission.
    pub order: u32,
    /// Writes of which only a part made it, by their request.
    pub tears: Vec<Tear>,
    /// What discarded blocks read as.
    pub discard: DiscardAs,
    /// Cuts of the recovery of this state, of the recovery of what that one left, and so on: each is a state of the log of
    /// what that recovery wrote.
    pub again: Vec<CrashState>,
}

impl CrashState {
    /// A state with nothing torn, in flight in order, discards as zeros.
    pub fn new(plan: PlanKind, cut: Cut, set: Set) -> Self {
        Self {
            plan,
            cut,
            set,
            order: 0,
            tears: Vec::new(),
            discard: DiscardAs::Zeros,
            again: Vec::new(),
        }
    }

    /// The state that is left when its recovery is cut off, which had left `inner` of what it wrote.
    #[must_use]
    pub fn cut_again(&self, inner: CrashState) -> Self {
        let mut state = self.clone();
        state.again.push(inner);
        state
    }

    /// The state whose recovery was cut off last, and what that left; `None` where none was.
    pub fn before_last_cut(&self) -> Option<(Self, &Self)> {
        let mut outer = self.clone();
        outer.again.pop()?;
        Some((outer, self.again.last()?))
    }
}

/// A subset of the writes that are volatile at a cut.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Set {
    /// None of them.
    Durable,
    /// All that completed, none in flight.
    Completed,
    /// All, those in flight too.
    All,
    /// All but one.
    Without(RequestId),
    /// One alone.
    Only(RequestId),
    /// Bit `i` stands for the `i`-th of `WriteLog::volatile`.
    Subset(BigUint),
    /// Chosen by the generator.
    Sample {
        /// The plan's seed.
        seed: u64,
        /// Which sample of this cut.
        number: u32,
    },
}

/// What a cut may do to the disk, besides leaving volatile writes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutModel {
    /// Bytes of the atomic unit at which writes may tear; `None`: each write is there whole or not at all.
    pub tearing: Option<u32>,
    /// What discarded blocks read as.
    pub discard: DiscardAs,
}

/// A write of which only some atomic units made it to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tear {
    /// The write; it must be among those that the state's set chooses, and volatile.
    pub request: RequestId,
    /// Bytes of the device's atomic unit; units are aligned to it.
    pub unit: u32,
    /// Which units.
    pub part: TornPart,
}

/// Which of a torn write's units made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TornPart {
    /// The first so many.
    First(u32),
    /// The last so many.
    Last(u32),
    /// The first, third, fifth…
    Even,
    /// The second, fourth, sixth…
    Odd,
}

/// What a discarded block reads as until it is rewritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscardAs {
    /// Zeros.
    #[default]
    Zeros,
    /// Whatever it held before: the discard did nothing.
    Kept,
    /// Bytes that nobody wrote, the same for the same place.
    Garbage,
}
