//! What differs between two kernels: in what they sent to the disk, and in what they recovered.
//!
//! [`Recording`] counts what was sent, step by step.

mod recording;

pub use recording::{Counts, Recording, StepIo};
