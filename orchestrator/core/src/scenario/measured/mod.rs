//! What is expected of measurements: a step with a label yields *items* ([`items`](super::catalogue::items)), which are
//! figures (one number), series (one number a call), texts (such as a kernel stack) and data (what a read returned). A
//! [`Metric`] names a number among them, and a [`MeasuredCheck`] says what it must be.

mod check;
mod metric;

pub use check::{Bound, Limit, MeasuredCheck, Versions};
pub use metric::{Item, Metric, MetricError, Stat, Unit, Yield};
