//! How often a kernel is run before it counts as good or bad.

use coldcut_core::search::{Aim, Flakiness, Sequential, SettingsError, Side};

/// How much is done about flaky kernels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Care {
    /// The most runs that a kernel gets.
    pub repeat: Option<u32>,
    /// The highest rate at which runs of a bad kernel come out good.
    pub miss: Option<f64>,
    /// The highest rate at which runs of a good kernel come out bad.
    pub false_alarm: Option<f64>,
    /// The highest probability of a wrong answer, given these rates.
    pub error: f64,
}

impl Care {
    /// The test for each of `count` kernels, and what to say about it.
    ///
    /// # Errors
    /// [`SettingsError`] when no number of runs gives such an answer.
    pub fn test(&self, count: usize, aim: Aim) -> Result<(Sequential, Option<String>), SettingsError> {
        // Each kernel is decided at most once, so the errors of all of them add up to no more than the whole.
        let error = self.error / count.max(1) as f64;
        let bad = if aim == Aim::FirstGood {
            Side::Old
        } else {
            Side::New
        };
        let (test, rates) = if let (Some(runs), None, None) = (self.repeat, self.miss, self.false_alarm) {
            Sequential::repeated(runs, error, bad)?
        } else {
            let rates = self.rates(bad);
            (Sequential::new(rates, error, self.repeat)?, rates)
        };
        let caution = (rates != Flakiness::NONE).then(|| self.caution(&test, rates, bad, aim));
        Ok((test, caution))
    }

    /// The rates as they were given, by the side that is bad.
    fn rates(&self, bad: Side) -> Flakiness {
        let (miss, alarm) = (self.miss.unwrap_or(0.0), self.false_alarm.unwrap_or(0.0));
        match bad {
            Side::New => Flakiness {
                old_as_new: alarm,
                new_as_old: miss,
            },
            Side::Old => Flakiness {
                old_as_new: miss,
                new_as_old: alarm,
            },
        }
    }

    fn caution(&self, test: &Sequential, rates: Flakiness, bad: Side, aim: Aim) -> String {
        let (miss, alarm) = match bad {
            Side::New => (rates.new_as_old, rates.old_as_new),
            Side::Old => (rates.old_as_new, rates.new_as_old),
        };
        let [good, bad] = match aim {
            Aim::FirstDifferent(_) => ["unchanged", "changed"],
            _ => ["good", "bad"],
        };
        format!(
            "up to {} runs of a kernel: the answer is wrong with a probability of at most {} as long as at most \
             {:.0} % of a {bad} kernel's runs look {good}, and {:.0} % of a {good} one's look {bad}",
            test.most(),
            self.error,
            miss * 100.0,
            alarm * 100.0,
        )
    }
}
