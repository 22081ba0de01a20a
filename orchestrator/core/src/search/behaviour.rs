//! What a run of a kernel means to a search: good, bad, the same, different, or nothing.

use serde::{Deserialize, Serialize};

use super::Observation;
use crate::outcome::diff::IoProfile;
use crate::outcome::result::CellResult;
use crate::outcome::verdict::{Standing, Verdict, ViolationKind};

/// How a kernel behaved in one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behaviour {
    /// The verdict.
    pub verdict: Verdict,
    /// How it compares with what the variant declares.
    pub standing: Standing,
    /// Whether something remained unknown: then violations of other kinds may have been missed.
    pub partial: bool,
    /// What the kernel sent to the disk, where it is known.
    // The name in journals of searches.
    #[serde(rename = "recording")]
    pub profile: Option<IoProfile>,
}

/// What is called good, and what bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Good holds, bad violates, whatever is declared.
    Verdict,
    /// Good is as the variant declares, bad is not.
    Declared,
}

/// Good, bad or untestable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// Neither is known.
    Untestable,
}

impl Quality {
    /// The exit code that `git bisect run` understands: 0, 1 or 125.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Bad => 1,
            Self::Untestable => 125,
        }
    }

    /// Of several: bad if any is, else untestable if any is, else good. None at all is untestable.
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        let all: Vec<Self> = all.into_iter().collect();
        if all.contains(&Self::Bad) {
            Self::Bad
        } else if all.is_empty() || all.contains(&Self::Untestable) {
            Self::Untestable
        } else {
            Self::Good
        }
    }
}

/// What must change for a kernel to be different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// Whether it holds or violates.
    Verdict,
    /// The kinds of violation.
    Kinds,
    /// The barriers (flushes and FUA) that each step sent to the disk.
    Barriers,
}

/// What a search looks for, from the old end to the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// The first bad kernel; the old end is good.
    FirstBad,
    /// The first good kernel; the old end is bad.
    FirstGood,
    /// The first kernel that behaves otherwise than the old end.
    FirstDifferent(Aspect),
}

impl Behaviour {
    /// The behaviour that a cell's result shows.
    pub fn of(result: &CellResult, profile: Option<IoProfile>) -> Self {
        Self {
            verdict: result.verdict.clone(),
            standing: result.standing,
            // That nothing is declared for a kernel leaves nothing unknown about it.
            partial: result.states.inconclusive > 0
                || result.doubted
                || result.standing == Standing::Inconclusive && !result.declared.is_open(),
            profile,
        }
    }

    /// Good, bad or untestable. A violation that was seen counts even when something else remained unknown.
    pub fn quality(&self, by: By) -> Quality {
        let as_declared = self.standing == Standing::AsDeclared;
        match (by, &self.verdict) {
            (_, Verdict::Inconclusive { .. }) => Quality::Untestable,
            (_, Verdict::Pass) if self.partial => Quality::Untestable,
            (By::Verdict, Verdict::Pass) => Quality::Good,
            (By::Declared, _) if self.standing == Standing::Inconclusive => Quality::Untestable,
            (By::Declared, _) if as_declared => Quality::Good,
            (By::Verdict, Verdict::Violation { .. }) | (By::Declared, _) => Quality::Bad,
        }
    }

    /// What this means to a search; `old` is the behaviour that counts as the old one where differences are sought.
    pub fn seen(&self, aim: Aim, by: By, old: Option<&Self>) -> Observation {
        match (aim, self.quality(by)) {
            (Aim::FirstDifferent(aspect), _) => {
                match (self.aspect(aspect), old.map_or(self, |o| o).aspect(aspect)) {
                    (Some(this), Some(old)) if this == old => Observation::Old,
                    (Some(_), Some(_)) => Observation::New,
                    _ => Observation::Untestable,
                }
            }
            (_, Quality::Untestable) => Observation::Untestable,
            (Aim::FirstBad, Quality::Good) | (Aim::FirstGood, Quality::Bad) => Observation::Old,
            (Aim::FirstBad, Quality::Bad) | (Aim::FirstGood, Quality::Good) => Observation::New,
        }
    }

    /// What is compared, where it is known.
    pub fn aspect(&self, aspect: Aspect) -> Option<String> {
        let kinds = |kinds: &[ViolationKind]| {
            kinds
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        match (aspect, &self.verdict) {
            (_, Verdict::Inconclusive { .. }) => None,
            (Aspect::Verdict, Verdict::Violation { .. }) => Some("violates".to_owned()),
            _ if self.partial => None,
            (Aspect::Verdict | Aspect::Kinds, Verdict::Pass) => Some("holds".to_owned()),
            (Aspect::Kinds, Verdict::Violation { kinds: of }) => Some(format!("violates {}", kinds(of))),
            (Aspect::Barriers, _) => self.profile.as_ref().map(|profile| {
                let step = |(name, count): (&str, u64)| format!("{name} {count}");
                let steps: Vec<String> = profile.barriers().into_iter().map(step).collect();
                format!("barriers: {}", steps.join(", "))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behaviour(verdict: Verdict, standing: Standing, partial: bool) -> Behaviour {
        Behaviour {
            verdict,
            standing,
            partial,
            profile: None,
        }
    }

    fn violates(kinds: &[ViolationKind]) -> Verdict {
        Verdict::Violation {
            kinds: kinds.to_vec(),
        }
    }

    fn inconclusive() -> Verdict {
        Verdict::Inconclusive {
            cause: "no boot".into(),
        }
    }

    #[test]
    fn nothing_unknown_is_good_or_bad() {
        for by in [By::Verdict, By::Declared] {
            let nothing = behaviour(inconclusive(), Standing::Inconclusive, true);
            assert_eq!(nothing.quality(by), Quality::Untestable);
            for aim in [
                Aim::FirstBad,
                Aim::FirstGood,
                Aim::FirstDifferent(Aspect::Verdict),
            ] {
                assert_eq!(nothing.seen(aim, by, None), Observation::Untestable);
            }
            let holds_as_far_as_seen = behaviour(Verdict::Pass, Standing::Inconclusive, true);
            assert_eq!(holds_as_far_as_seen.quality(by), Quality::Untestable);
        }
    }

    #[test]
    fn a_kernel_for_which_nothing_is_declared_is_tested_by_its_verdict() {
        for (verdict, quality) in [
            (Verdict::Pass, Quality::Good),
            (violates(&[ViolationKind::Zeros]), Quality::Bad),
        ] {
            let undeclared = behaviour(verdict, Standing::Inconclusive, false);
            assert_eq!(undeclared.quality(By::Verdict), quality);
            assert_eq!(undeclared.quality(By::Declared), Quality::Untestable);
            assert!(undeclared.aspect(Aspect::Kinds).is_some());
        }
    }

    #[test]
    fn a_violation_counts_although_something_else_is_unknown() {
        let seen = behaviour(violates(&[ViolationKind::Missing]), Standing::Inconclusive, true);
        assert_eq!(seen.quality(By::Verdict), Quality::Bad);
        assert_eq!(seen.quality(By::Declared), Quality::Untestable);
        assert_eq!(seen.aspect(Aspect::Verdict).as_deref(), Some("violates"));
        assert_eq!(
            seen.aspect(Aspect::Kinds),
            None,
            "other kinds may have been missed"
        );
    }

    #[test]
    fn a_documented_hazard_is_bad_by_verdict_and_good_as_declared() {
        let hazard = behaviour(violates(&[ViolationKind::Content]), Standing::AsDeclared, false);
        assert_eq!(hazard.quality(By::Verdict), Quality::Bad);
        assert_eq!(hazard.quality(By::Declared), Quality::Good);
        assert_eq!(hazard.seen(Aim::FirstGood, By::Verdict, None), Observation::Old);
        let holds = behaviour(Verdict::Pass, Standing::NotAsDeclared, false);
        assert_eq!(holds.quality(By::Declared), Quality::Bad);
        assert_eq!(holds.seen(Aim::FirstGood, By::Verdict, None), Observation::New);
    }

    #[test]
    fn differences_are_told_from_the_old_behaviour() {
        let old = behaviour(
            violates(&[ViolationKind::Content]),
            Standing::NotAsDeclared,
            false,
        );
        let new = behaviour(violates(&[ViolationKind::Zeros]), Standing::NotAsDeclared, false);
        let seen = |b: &Behaviour, aspect| b.seen(Aim::FirstDifferent(aspect), By::Verdict, Some(&old));
        assert_eq!(seen(&new, Aspect::Verdict), Observation::Old);
        assert_eq!(seen(&new, Aspect::Kinds), Observation::New);
        assert_eq!(seen(&old, Aspect::Kinds), Observation::Old);
        assert_eq!(
            seen(&new, Aspect::Barriers),
            Observation::Untestable,
            "there is no recording"
        );
    }

    #[test]
    fn the_worst_of_several_counts() {
        use Quality::{Bad, Good, Untestable};
        assert_eq!(Quality::worst([Good, Untestable, Bad]).exit_code(), 1);
        assert_eq!(Quality::worst([Good, Untestable]).exit_code(), 125);
        assert_eq!(Quality::worst([Good, Good]).exit_code(), 0);
        assert_eq!(Quality::worst([]).exit_code(), 125, "nothing proves nothing");
    }
}
