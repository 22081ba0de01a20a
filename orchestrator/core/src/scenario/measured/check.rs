//! What must have been measured.

use coldcut_wire::PatternName;
use serde::Serialize;

use super::metric::{Metric, Unit};
use crate::outcome::verdict::ViolationKind;

/// A promise about what happened while the kernel ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasuredCheck {
    /// A number lies within bounds.
    Measure {
        /// Which number.
        metric: Metric,
        /// Where it must lie.
        bound: Bound,
        /// The violation if it does not.
        kind: ViolationKind,
    },
    /// An assumption: what the other checks are about took place. It is not judged; where it does not hold, nothing is
    /// known.
    Assume {
        /// Which number.
        metric: Metric,
        /// Where it must lie.
        bound: Bound,
    },
    /// The promise is that a hazard does not show. It is broken where the hazard's arm shows it and the control's arm,
    /// in the same guest, does not; where the control shows it too, or the hazard's number lies in between, nothing is
    /// proved.
    Contrast {
        /// The number of the hazard's arm, and where it lies when the hazard shows.
        hazard: (Metric, Bound),
        /// The number of the control's arm, and where it lies when nothing shows.
        control: (Metric, Bound),
        /// The violation that the hazard is.
        kind: ViolationKind,
    },
    /// A read returned one of these contents, each time.
    Returned {
        /// The read's label.
        step: String,
        /// First byte that is judged, and how many.
        range: (u64, u64),
        /// What it may be.
        accept: Versions,
        /// The violation if it is something else; `None`: as the bytes say (an older generation of the file itself is a
        /// stale read).
        kind: Option<ViolationKind>,
    },
    /// A text that was found holds one of these words, and none of those.
    Shows {
        /// The step's label.
        step: String,
        /// Which of its texts.
        text: String,
        /// At least one of these must be in it; empty: any text will do.
        any_of: Vec<String>,
        /// None of these may be in it.
        none_of: Vec<String>,
        /// The violation if that is not so.
        kind: ViolationKind,
    },
    /// The kernel's log, from the mount to the last step, holds one of these texts, and none of those.
    Logged {
        /// At least one of these must be in it; empty: any log will do.
        any_of: Vec<String>,
        /// None of these may be in it.
        none_of: Vec<String>,
        /// The violation if that is not so.
        kind: ViolationKind,
    },
}

/// Which contents a read may return; `None` is zeros.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Versions {
    /// All of it one of these.
    OneOf(Vec<Option<PatternName>>),
    /// Every byte any of these, in its place.
    MixOf(Vec<Option<PatternName>>),
}

/// Where a number must lie: within all of the limits that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// Exactly this.
    pub is: Option<Limit>,
    /// This or more.
    pub at_least: Option<Limit>,
    /// This or less.
    pub at_most: Option<Limit>,
    /// What the number counts, for showing it.
    pub unit: Option<Unit>,
}

/// A number to compare with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// This number.
    Value(i64),
    /// Another measured number, multiplied.
    Times {
        /// Which.
        metric: Metric,
        /// The factor, in thousandths.
        thousandths: u64,
    },
}

impl Bound {
    /// The limits that are given, in words and in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&'static str, &Limit)> {
        let parts = [
            ("", &self.is),
            ("at least ", &self.at_least),
            ("at most ", &self.at_most),
        ];
        parts
            .into_iter()
            .filter_map(|(word, limit)| limit.as_ref().map(|l| (word, l)))
    }

    /// A number as this bound's unit shows it.
    pub(crate) fn show(&self, value: i64) -> String {
        self.unit.unwrap_or(Unit::Count).show(value)
    }
}
