//! Everything that the steps of one run measured.

use std::collections::BTreeMap;

use coldcut_wire::{DmesgLine, Extent, MAX_LINES, MAX_VALUES, Measured};
use serde::{Deserialize, Serialize};

use crate::scenario::measured::{Item, Metric, Stat};

/// Most rounds of data that are kept of a step.
const MAX_ROUNDS: usize = 1024;

/// What one step measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFound {
    /// Numbers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, i64>,
    /// Numbers in the order in which they were taken, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub series: BTreeMap<String, Vec<i64>>,
    /// Lines of text by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, Vec<String>>,
    /// What was read: the first round, and each that differs from the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<(u32, Vec<Extent>)>,
}

/// What all steps measured, by label, and what the kernel logged meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurements {
    /// By the step's name.
    pub steps: BTreeMap<String, StepFound>,
    /// The kernel's log from the mount to the last step; `None` when it could not be read.
    pub dmesg: Option<Vec<DmesgLine>>,
    /// Why the guest's clock, and so every time here, cannot be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
}

/// A guest sent more than any honest step measures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step `{step}` sent more {what} than a step may")]
pub struct TooMuch {
    step: String,
    what: &'static str,
}

impl Measurements {
    /// Adds a part of what a step measured. Series grow, everything else is replaced.
    ///
    /// # Errors
    /// When the parts of a step are more than the limits of the wire allow.
    pub fn absorb(&mut self, step: &str, part: Measured) -> Result<(), TooMuch> {
        let found = self.steps.entry(step.to_owned()).or_default();
        let too_much = |what| TooMuch {
            step: step.to_owned(),
            what,
        };
        match part {
            Measured::Figure { name, value } => {
                if found.figures.len() >= MAX_LINES {
                    return Err(too_much("figures"));
                }
                found.figures.insert(name, value);
            }
            Measured::Series { name, values } => {
                let held: usize = found.series.values().map(Vec::len).sum();
                if held + values.len() > MAX_VALUES || found.series.len() >= MAX_LINES {
                    return Err(too_much("values"));
                }
                found.series.entry(name).or_default().extend(values);
            }
            Measured::Text { name, lines } => {
                if lines.len() > MAX_LINES || found.texts.len() >= MAX_LINES {
                    return Err(too_much("lines"));
                }
                found.texts.insert(name, lines);
            }
            Measured::Data { round, extents } => {
                if found.data.len() >= MAX_ROUNDS {
                    return Err(too_much("rounds of data"));
                }
                found.data.push((round, extents));
            }
        }
        Ok(())
    }

    /// Sets a figure of a step.
    pub fn figure(&mut self, step: &str, name: &str, value: i64) {
        let found = self.steps.entry(step.to_owned()).or_default();
        found.figures.insert(name.to_owned(), value);
    }

    /// The number that a metric names; `None` when it was not measured (or has no value: the maximum of nothing).
    pub fn value(&self, metric: &Metric) -> Option<i64> {
        let found = self.steps.get(&metric.step)?;
        match &metric.item {
            Item::Figure(name) => found.figures.get(name).copied(),
            Item::Series(name, stat) => stat_of(found.series.get(name)?, *stat),
        }
    }
}

fn stat_of(values: &[i64], stat: Stat) -> Option<i64> {
    match stat {
        Stat::Count => i64::try_from(values.len()).ok(),
        Stat::Sum => Some(values.iter().fold(0, |sum: i64, v| sum.saturating_add(*v))),
        Stat::Over(limit, _) => i64::try_from(values.iter().filter(|v| **v > limit).count()).ok(),
        Stat::Min => values.iter().min().copied(),
        Stat::Max => values.iter().max().copied(),
        Stat::P50 => quantile(values, 0.5),
        Stat::P99 => quantile(values, 0.99),
    }
}

/// A quantile by an HDR histogram of three significant digits, so that what is reported is what such histograms
/// elsewhere report; exact where a value is negative, which they cannot hold.
fn quantile(values: &[i64], quantile: f64) -> Option<i64> {
    let max = *values.iter().max()?;
    let mut histogram = hdrhistogram::Histogram::<u64>::new(3).ok()?;
    let held = values
        .iter()
        .try_for_each(|v| u64::try_from(*v).ok().and_then(|v| histogram.record(v).ok()));
    if held.is_some() {
        let value = i64::try_from(histogram.value_at_quantile(quantile)).unwrap_or(i64::MAX);
        return Some(value.min(max));
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (quantile * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::measured::Unit;
    use proptest::prelude::*;

    fn series(values: &[i64]) -> Measurements {
        let mut measurements = Measurements::default();
        for part in values.chunks(3) {
            let part = Measured::Series {
                name: "calls".to_owned(),
                values: part.to_vec(),
            };
            measurements.absorb("a", part).unwrap();
        }
        measurements
    }

    fn of(measurements: &Measurements, stat: Stat) -> Option<i64> {
        measurements.value(&Metric {
            step: "a".to_owned(),
            item: Item::Series("calls".to_owned(), stat),
        })
    }

    #[test]
    fn statistics() {
        let found = series(&[5, 1, 9, 3, 100_000]);
        assert_eq!(of(&found, Stat::Count), Some(5));
        assert_eq!(of(&found, Stat::Sum), Some(100_018));
        assert_eq!(of(&found, Stat::Min), Some(1));
        assert_eq!(of(&found, Stat::Max), Some(100_000), "exact, not a bucket's edge");
        assert_eq!(of(&found, Stat::P50), Some(5));
        assert_eq!(of(&found, Stat::P99), Some(100_000));
        assert_eq!(of(&found, Stat::Over(5, Unit::Count)), Some(2), "over, not at");
    }

    #[test]
    fn nothing_has_no_maximum_but_a_count() {
        let mut empty = Measurements::default();
        assert_eq!(of(&empty, Stat::Count), None, "nobody looked");
        let none = Measured::Series {
            name: "calls".to_owned(),
            values: Vec::new(),
        };
        empty.absorb("a", none).unwrap();
        assert_eq!(of(&empty, Stat::Count), Some(0));
        assert_eq!(of(&empty, Stat::Over(0, Unit::Count)), Some(0));
        assert_eq!(of(&empty, Stat::Max), None);
        assert_eq!(of(&empty, Stat::P50), None);
    }

    #[test]
    fn a_hostile_guest_is_bounded() {
        let mut found = Measurements::default();
        let part = |n| Measured::Series {
            name: "calls".to_owned(),
            values: vec![0; n],
        };
        found.absorb("a", part(MAX_VALUES)).unwrap();
        assert!(found.absorb("a", part(1)).is_err());
        let lines = vec![String::new(); MAX_LINES + 1];
        let text = Measured::Text {
            name: "stack".to_owned(),
            lines,
        };
        assert!(found.absorb("a", text).is_err());
    }

    proptest! {
        #[test]
        fn quantiles_lie_within(values in proptest::collection::vec(-1000i64..1_000_000, 1..200)) {
            let found = series(&values);
            let (min, max) = (of(&found, Stat::Min), of(&found, Stat::Max));
            for stat in [Stat::P50, Stat::P99] {
                let value = of(&found, stat);
                prop_assert!(value >= min && value <= max, "{value:?} of {values:?}");
            }
            prop_assert!(of(&found, Stat::P50) <= of(&found, Stat::P99));
        }
    }
}
