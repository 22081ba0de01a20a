//! One cell of a run: which it is, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::completeness::Completeness;
use super::name::FileName;
use super::phase::Phase;
use super::place::Place;
use super::verdict::{Declared, Standing, Verdict, ViolationKind};

/// Which cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CellRef {
    /// Unique in its run, usable as a file name: scenario, variant and kernel joined by dots, and the recovering kernel
    /// where it is another.
    pub id: FileName,
    /// Scenario's name.
    pub scenario: FileName,
    /// Variant's name.
    pub variant: String,
    /// The kernel that recorded, as the user asked for it, such as `6.12`.
    pub kernel: String,
    /// The kernel that recovered, as the user asked for it; `None` where it is the one that recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_on: Option<String>,
}

impl CellRef {
    /// Its kernel, or both: `6.12`, or `6.12 → 5.10`.
    pub fn kernels(&self) -> String {
        match &self.recovered_on {
            None => self.kernel.clone(),
            Some(other) => format!("{} → {other}", self.kernel),
        }
    }

    /// What all rounds of a cell share: scenario, variant, kernels.
    pub fn key(&self) -> [&str; 4] {
        let recovered_on = self.recovered_on.as_deref().unwrap_or_default();
        [&self.scenario, &self.variant, &self.kernel, recovered_on]
    }
}

/// A kernel image, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelRef {
    /// As asked for.
    pub name: String,
    /// `uname -r`.
    pub release: String,
    /// Digest of the stored kernel.
    pub digest: String,
}

/// One broken promise in one crash state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which kind.
    pub kind: ViolationKind,
    /// Where.
    pub state: Place,
    /// Which entry of the `expect` list, from 0; `None` for the implicit promise that the filesystem mounts.
    pub expectation: Option<usize>,
    /// Which rule of the automatic oracle; `None` for what somebody wrote down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// One line.
    pub evidence: String,
    /// Whether a kernel booted for this crash state showed it too; `None` when none could be booted.
    #[serde(default)]
    pub confirmed: Option<bool>,
}

/// How many crash states there were, and how they were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateCounts {
    /// Points in time at which the power was cut.
    pub cuts: u64,
    /// Crash states.
    pub total: u64,
    /// Different images among them.
    pub distinct: u64,
    /// Images recovered by a kernel booted for them alone.
    pub cold: u64,
    /// Images recovered by a clone of a fresh kernel.
    pub fresh: u64,
    /// Images recovered only by a guest that recovered others before. None of them broke a promise, and each recovered to
    /// a tree that a fresh kernel also recovers from some other image.
    #[serde(default)]
    pub screened: u64,
    /// Images about which nothing is known.
    pub inconclusive: u64,
    /// Crash states that the plan's budget left out.
    pub left_out: u64,
    /// Crash states that are judged by the recovery of another, which read only blocks that the two have in common.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub inferred: u64,
    /// How far complete plans came; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete: Option<Completeness>,
}

impl StateCounts {
    /// Adds what complete plans covered.
    pub fn add(&mut self, complete: &Completeness) {
        let (states, covered) = (complete.states.saturated(), complete.covered.saturated());
        self.total = self.total.saturating_add(states);
        self.left_out = self.left_out.saturating_add(states - covered.min(states));
        self.complete = Some(complete.clone());
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde wants it
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Everything about one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// Which cell.
    pub cell: CellRef,
    /// The kernel that recorded.
    pub kernel: KernelRef,
    /// The kernel that recovered; `None` where it is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_on: Option<KernelRef>,
    /// Filesystem type.
    pub filesystem: String,
    /// Mount options and flags.
    pub mount: String,
    /// What the scenario declares.
    pub declared: Declared,
    /// What was seen.
    pub verdict: Verdict,
    /// How the two compare.
    pub standing: Standing,
    /// Crash states.
    pub states: StateCounts,
    /// Expectations judged, over all crash states.
    pub obligations: u64,
    /// How many promises were broken; `violations` keeps the first of each kind and expectation.
    pub broken: u64,
    /// Broken promises, the earliest cut first.
    pub violations: Vec<Violation>,
    /// What live checks measured, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<String>,
    /// Anything else that a reader should know.
    pub notes: Vec<String>,
    /// Whether some of the notes are doubts about what was found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubted: bool,
    /// Milliseconds by phase; where several machines ran at once, the sum of theirs.
    pub millis: BTreeMap<Phase, u64>,
}
