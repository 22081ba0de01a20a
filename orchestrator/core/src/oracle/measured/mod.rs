//! Judging what was measured while a kernel ran, without any crash, against the checks of
//! [`crate::scenario::measured`]. What was not measured is a doubt, never a pass and never a violation.
//!
//! Absolute times on a shared host prove nothing: a contrast compares two arms that ran in the same guest.

mod judge;
mod measurements;

pub use judge::{Judged, judge};
pub use measurements::{Measurements, StepFound};
