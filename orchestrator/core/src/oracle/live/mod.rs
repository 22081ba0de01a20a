//! What is seen while a kernel runs, without any crash: measurements of steps, and the checks on them.
//!
//! A step with a label yields *items* ([`items`]): figures (one number), series (one number a call), texts (such as a
//! kernel stack) and data (what a read returned). A [`Metric`] names a number among them, a [`LiveCheck`] says what it
//! must be, and [`judge`] compares. What was not measured is a doubt, never a pass and never a violation.
//!
//! Absolute times on a shared host prove nothing: a contrast compares two arms that ran in the same guest.

mod catalogue;
mod check;
mod judge;
mod measurements;
mod metric;

pub use catalogue::{Shape, items};
pub use check::{Bound, Limit, LiveCheck, Versions};
pub use judge::{Judged, judge};
pub use measurements::{Measurements, StepFound};
pub use metric::{Item, Metric, MetricError, Stat, Unit};
