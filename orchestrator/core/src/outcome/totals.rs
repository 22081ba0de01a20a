//! Sums over cells, and the exit code that they give.

use serde::{Deserialize, Serialize};

use super::verdict::Standing;

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
    /// Cells that are only observed, since nothing is declared of them.
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

#[cfg(test)]
mod tests {
    use super::*;

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
