//! What differs between two kernels: in what they sent to the disk, and in what they recovered.
//!
//! [`IoProfile`] counts what was sent, step by step. [`recoveries`](recoveries()) compares what two kernels made of a
//! disk, file by file. Two recordings have no crash states in common; [`common`] gives the points of the workload that
//! both have, at which the same was acknowledged and so the same may be expected.

mod points;
mod profile;
mod recoveries;
mod render;

pub use points::{Point, common, points};
pub use profile::{Counts, IoProfile, StepIo};
pub use recoveries::{Difference, recoveries};
pub use render::{render_differences, render_profiles};
