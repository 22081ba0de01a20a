//! Results: what `result.json` holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outcome::event::Phase;
use crate::outcome::rounds::{self, Flaky};
use crate::outcome::verdict::{Outcome, Standing, Verdict, ViolationKind};

/// The newest version of the files in a run's directory that this coldcut reads. A reader refuses a newer one.
pub const RESULT_FORMAT: u32 = 2;

/// The version in which a run with these cells is written: 1, unless a kernel recovered what another recorded, which a
/// reader of 1 would take for rounds of one cell.
pub fn format_of<'a>(cells: impl IntoIterator<Item = &'a CellRef>) -> u32 {
    let elsewhere = cells.into_iter().any(|cell| cell.recovered_on.is_some());
    if elsewhere { 2 } else { 1 }
}

/// Which cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CellRef {
    /// Unique in its run, usable as a file name: scenario, variant and kernel joined by dots, and the recovering kernel
    /// where it is another.
    pub id: String,
    /// Scenario's name.
    pub scenario: String,
    /// Variant's name.
    pub variant: String,
    /// Kernel as the user asked for it, such as `6.12`: the one that recorded.
    pub kernel: String,
    /// The kernel that recovered what the other recorded, likewise; `None` where it is the same.
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

    /// What tells it from the other cells of a run, whichever round it is: scenario, variant, kernels.
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

/// What stands in files and on the command line in place of a crash state's id.
const WITHOUT_CRASH: &str = "live";

/// Where a promise was broken. In files and on the command line it is one word: a crash state's id, or `live`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Place {
    /// On the mounted filesystem, while the workload ran.
    WithoutCrash,
    /// In the crash state with this id.
    CrashState(String),
}

impl Place {
    /// Its word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::WithoutCrash => WITHOUT_CRASH,
            Self::CrashState(id) => id,
        }
    }
}

impl From<String> for Place {
    fn from(word: String) -> Self {
        if word == WITHOUT_CRASH {
            Self::WithoutCrash
        } else {
            Self::CrashState(word)
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.as_str().to_owned()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
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
    /// Different contents among them.
    pub distinct: u64,
    /// Contents recovered by a kernel booted for them alone.
    pub cold: u64,
    /// Contents recovered by a clone of a fresh kernel.
    pub fresh: u64,
    /// Contents recovered only by a guest that recovered others before. Each looked well, and recovered to a tree that
    /// a fresh kernel also recovers from some other content.
    #[serde(default)]
    pub screened: u64,
    /// Contents about which nothing is known.
    pub inconclusive: u64,
    /// Crash states that the plan's budget left out.
    pub left_out: u64,
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
    pub declared: Outcome,
    /// What was seen.
    pub verdict: Verdict,
    /// How the two compare.
    pub standing: Standing,
    /// Crash states.
    pub states: StateCounts,
    /// Expectations judged, over all crash states.
    pub obligations: u64,
    /// Broken promises in all, of which `violations` keeps the first of each kind and expectation.
    pub broken: u64,
    /// Broken promises, the earliest cut first.
    pub violations: Vec<Violation>,
    /// What live checks measured, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<String>,
    /// Anything that a reader should know besides.
    pub notes: Vec<String>,
    /// Whether some of the notes are doubts about what was found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubted: bool,
    /// Milliseconds by phase; phases of several machines at once are added up.
    pub millis: BTreeMap<Phase, u64>,
}

/// Sums over cells; those that ran more than once count once (see [`crate::outcome::rounds`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Cells as declared.
    pub as_declared: u64,
    /// Cells not as declared.
    pub not_as_declared: u64,
    /// Cells about which nothing is known.
    pub inconclusive: u64,
    /// Cells in a mode that the kernel or mkfs refuses.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_applicable: u64,
    /// Cells of which nothing is declared.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub observed: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Totals {
    /// Counts standings.
    pub fn of(standings: impl IntoIterator<Item = Standing>) -> Self {
        let mut totals = Self::default();
        for standing in standings {
            match standing {
                Standing::AsDeclared => totals.as_declared += 1,
                Standing::NotAsDeclared => totals.not_as_declared += 1,
                Standing::Inconclusive => totals.inconclusive += 1,
                Standing::NotApplicable => totals.not_applicable += 1,
                Standing::Observed => totals.observed += 1,
            }
        }
        totals
    }

    /// The exit code of a run: 0 all as declared (or only observed), 1 some not, 3 something inconclusive and nothing
    /// wrong.
    pub fn exit_code(self) -> u8 {
        if self.not_as_declared > 0 {
            1
        } else if self.inconclusive > 0 || self.as_declared + self.observed == 0 {
            3
        } else {
            0
        }
    }
}

/// `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// See [`format_of`].
    pub format: u32,
    /// The run's id.
    pub run: String,
    /// The sums.
    pub totals: Totals,
    /// The cells, in the run's order.
    pub cells: Vec<CellResult>,
    /// Cells that ran more than once, with verdicts that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flaky: Vec<Flaky>,
}

impl RunResult {
    /// The result of a run with these cells.
    pub fn new(run: &str, cells: Vec<CellResult>) -> Self {
        Self {
            format: format_of(cells.iter().map(|result| &result.cell)),
            run: run.to_owned(),
            totals: Totals::of_cells(&cells),
            flaky: rounds::rounds(&cells)
                .iter()
                .filter_map(rounds::Rounds::flaky)
                .collect(),
            cells,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_word_in_files() {
        for (place, word) in [
            (Place::WithoutCrash, "\"live\""),
            (Place::CrashState("b12-d".into()), "\"b12-d\""),
        ] {
            assert_eq!(serde_json::to_string(&place).unwrap(), word);
            assert_eq!(serde_json::from_str::<Place>(word).unwrap(), place);
        }
    }

    #[test]
    fn exit_codes_put_wrong_before_unknown() {
        use Standing::{AsDeclared, Inconclusive, NotAsDeclared};
        let code = |standings: &[Standing]| Totals::of(standings.iter().copied()).exit_code();
        assert_eq!(code(&[AsDeclared, AsDeclared]), 0);
        assert_eq!(code(&[AsDeclared, NotAsDeclared, Inconclusive]), 1);
        assert_eq!(code(&[AsDeclared, Inconclusive]), 3);
        let observed = Standing::Observed;
        assert_eq!((code(&[observed]), code(&[AsDeclared, observed])), (0, 0));
        assert_eq!(
            (code(&[observed, NotAsDeclared]), code(&[observed, Inconclusive])),
            (1, 3)
        );
        assert_eq!(code(&[]), 3, "a run of no cells proves nothing");
    }
}
