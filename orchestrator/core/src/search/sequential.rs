//! How often a kernel must be run: Wald's sequential probability ratio test.

use super::{Observation, Side};

/// How often a run comes out wrong, at most. Both are probabilities, and together less than 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flakiness {
    /// That a run of a kernel of the old side comes out new: a false alarm, when new is bad.
    pub old_as_new: f64,
    /// That a run of a kernel of the new side comes out old: a miss, when new is bad.
    pub new_as_old: f64,
}

impl Flakiness {
    /// Every run tells the truth.
    pub const NONE: Self = Self {
        old_as_new: 0.0,
        new_as_old: 0.0,
    };
}

/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// A rate is not a probability below 1.
    #[error("a rate of {0} makes no sense: expected at least 0 and less than 1")]
    Rate(f64),
    /// With such rates both sides look alike.
    #[error("rates of {0} and {1} cannot be told apart: together they must be less than 1")]
    Alike(f64, f64),
    /// The error is not a probability between 0 and 1.
    #[error("an error of {0} makes no sense: expected more than 0 and at most 0.5")]
    Error(f64),
    /// No run at all.
    #[error("a kernel must be run at least once")]
    NoRun,
    /// The limit is too low for the stated rates.
    #[error(
        "{most} runs cannot decide at these rates and this error: at least {needed} are needed even if all agree"
    )]
    TooFew {
        /// The limit.
        most: u32,
        /// What the rates need.
        needed: u32,
    },
}

/// What the runs of one kernel showed, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// As on the old side.
    pub old: u32,
    /// As on the new side.
    pub new: u32,
    /// Untestable.
    pub untestable: u32,
}

impl Runs {
    /// Counts one more.
    pub fn add(&mut self, seen: Observation) {
        match seen {
            Observation::Old => self.old += 1,
            Observation::New => self.new += 1,
            Observation::Untestable => self.untestable += 1,
        }
    }

    /// All of them.
    pub fn total(self) -> u32 {
        self.old + self.new + self.untestable
    }

    /// Whether they contradict each other.
    pub fn flaky(self) -> bool {
        self.old > 0 && self.new > 0
    }
}

/// What is known of a kernel after some runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It must be run again.
    Open,
    /// It is of this side, with the stated error.
    Is(Side),
    /// Nothing can be known: its runs are untestable, or contradict each other more than the stated rates allow.
    Untestable,
}

/// The test: stops as soon as the runs so far are unlikely enough on one of the two sides.
///
/// With rates of 0 one run decides. With `old_as_new` 0 one new run decides, and old runs in a row until a kernel of
/// the new side would hardly have come out so. With both above 0 the difference between the counts decides. The
/// thresholds are 1/error without Wald's approximation, so that each side is taken for the other with a probability
/// of at most `error` (Ville's inequality), for every rate within those stated.
#[derive(Clone, Copy, Debug)]
pub struct Sequential {
    for_new: f64,
    for_old: f64,
    threshold: f64,
    most: u32,
    patience: u32,
}

impl Sequential {
    /// A test with an error for each kernel and a limit on its runs. Without a limit it is four times what runs that
    /// all agree would need.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(flakiness: Flakiness, error: f64, most: Option<u32>) -> Result<Self, SettingsError> {
        let Flakiness {
            old_as_new,
            new_as_old,
        } = flakiness;
        for rate in [old_as_new, new_as_old] {
            if !(0.0..1.0).contains(&rate) {
                return Err(SettingsError::Rate(rate));
            }
        }
        if old_as_new + new_as_old >= 1.0 {
            return Err(SettingsError::Alike(old_as_new, new_as_old));
        }
        if !(error > 0.0 && error <= 0.5) {
            return Err(SettingsError::Error(error));
        }
        let mut test = Self {
            for_new: ((1.0 - new_as_old) / old_as_new).ln(),
            for_old: ((1.0 - old_as_new) / new_as_old).ln(),
            threshold: (1.0 / error).ln(),
            most: u32::MAX,
            patience: if flakiness == Flakiness::NONE { 1 } else { 2 },
        };
        let needed = test.in_a_row(test.for_old).max(test.in_a_row(test.for_new));
        test.most = match most {
            Some(0) => return Err(SettingsError::NoRun),
            Some(most) if most < needed => return Err(SettingsError::TooFew { most, needed }),
            Some(most) => most,
            None if needed == 1 => 1,
            None => needed.saturating_mul(4),
        };
        Ok(test)
    }

    /// The rates that `runs` runs of a kernel cover where one side hides in some of them: one run of that side is
    /// believed, and so many of the other in a row are.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn repeated(runs: u32, error: f64, hiding: Side) -> Result<(Self, Flakiness), SettingsError> {
        if runs == 0 {
            return Err(SettingsError::NoRun);
        }
        let flakiness = if runs == 1 {
            Flakiness::NONE
        } else {
            // A little less than the root, so that rounding does not ask for one run more.
            let rate = error.powf(1.0 / f64::from(runs)) * (1.0 - 1e-9);
            match hiding {
                Side::New => Flakiness {
                    old_as_new: 0.0,
                    new_as_old: rate,
                },
                Side::Old => Flakiness {
                    old_as_new: rate,
                    new_as_old: 0.0,
                },
            }
        };
        Self::new(flakiness, error, Some(runs)).map(|test| (test, flakiness))
    }

    /// How many agreeing runs decide, at a weight each.
    fn in_a_row(&self, weight: f64) -> u32 {
        (self.threshold / weight).ceil().max(1.0) as u32
    }

    /// The most runs of a kernel.
    pub fn most(&self) -> u32 {
        self.most
    }

    /// What the runs say.
    pub fn decide(&self, runs: Runs) -> Decision {
        let weigh = |count: u32, weight: f64| {
            if count == 0 {
                0.0
            } else {
                f64::from(count) * weight
            }
        };
        // Infinity less infinity: two truths that contradict each other are no truth.
        let ratio = weigh(runs.new, self.for_new) - weigh(runs.old, self.for_old);
        if ratio >= self.threshold {
            Decision::Is(Side::New)
        } else if ratio <= -self.threshold {
            Decision::Is(Side::Old)
        } else if ratio.is_nan() || runs.untestable >= self.patience || runs.old + runs.new >= self.most {
            Decision::Untestable
        } else {
            Decision::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(test: &Sequential, old: u32, new: u32) -> Decision {
        test.decide(Runs {
            old,
            new,
            untestable: 0,
        })
    }

    #[test]
    fn truthful_runs_decide_at_once() {
        let test = Sequential::new(Flakiness::NONE, 0.01, None).unwrap();
        assert_eq!(test.most(), 1);
        assert_eq!(decide(&test, 0, 0), Decision::Open);
        assert_eq!(decide(&test, 1, 0), Decision::Is(Side::Old));
        assert_eq!(decide(&test, 0, 1), Decision::Is(Side::New));
        assert_eq!(decide(&test, 1, 1), Decision::Untestable);
        let untestable = Runs {
            untestable: 1,
            ..Runs::default()
        };
        assert_eq!(test.decide(untestable), Decision::Untestable);
    }

    #[test]
    fn a_bug_that_hides_needs_several_old_runs_and_one_new_one() {
        let flakiness = Flakiness {
            old_as_new: 0.0,
            new_as_old: 0.5,
        };
        let test = Sequential::new(flakiness, 0.01, None).unwrap();
        // 0.5^7 is the first power below 0.01.
        assert_eq!(decide(&test, 6, 0), Decision::Open);
        assert_eq!(decide(&test, 7, 0), Decision::Is(Side::Old));
        assert_eq!(decide(&test, 6, 1), Decision::Is(Side::New));
    }

    #[test]
    fn with_both_rates_the_difference_decides() {
        let flakiness = Flakiness {
            old_as_new: 0.1,
            new_as_old: 0.1,
        };
        let test = Sequential::new(flakiness, 0.01, None).unwrap();
        // 9^2 < 100 <= 9^3.
        assert_eq!(decide(&test, 0, 2), Decision::Open);
        assert_eq!(decide(&test, 0, 3), Decision::Is(Side::New));
        assert_eq!(decide(&test, 2, 4), Decision::Open);
        assert_eq!(decide(&test, 4, 1), Decision::Is(Side::Old));
        assert_eq!(
            decide(&test, 6, 6),
            Decision::Untestable,
            "the limit of 12 is reached"
        );
    }

    #[test]
    fn repeats_state_what_they_cover() {
        for runs in 1..40 {
            let (test, flakiness) = Sequential::repeated(runs, 0.01, Side::New).unwrap();
            assert_eq!(decide(&test, runs, 0), Decision::Is(Side::Old), "{runs}");
            if runs > 1 {
                assert_eq!(decide(&test, runs - 1, 0), Decision::Open, "{runs}");
                assert!(flakiness.new_as_old.powi(runs as i32) <= 0.01);
            }
            let (test, _) = Sequential::repeated(runs, 0.01, Side::Old).unwrap();
            assert_eq!(decide(&test, 0, runs), Decision::Is(Side::New), "{runs}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let rates = |old_as_new, new_as_old| Flakiness {
            old_as_new,
            new_as_old,
        };
        let refused = |f, error, most| Sequential::new(f, error, most).unwrap_err();
        assert_eq!(refused(rates(-0.1, 0.0), 0.01, None), SettingsError::Rate(-0.1));
        assert!(matches!(
            refused(rates(f64::NAN, 0.0), 0.01, None),
            SettingsError::Rate(_)
        ));
        assert_eq!(
            refused(rates(0.5, 0.5), 0.01, None),
            SettingsError::Alike(0.5, 0.5)
        );
        assert_eq!(refused(rates(0.0, 0.0), 0.0, None), SettingsError::Error(0.0));
        assert_eq!(refused(rates(0.0, 0.0), 0.1, Some(0)), SettingsError::NoRun);
        let few = SettingsError::TooFew { most: 3, needed: 7 };
        assert_eq!(refused(rates(0.0, 0.5), 0.01, Some(3)), few);
    }
}
