//! Scenarios in the modes in which a filesystem can be made and mounted, which stand in [`crate::filesystem`].
//!
//! A mode's promises say which of a scenario's expectations are judged in it: a filesystem is held to its documentation
//! and to nothing else. A mode that promises nothing is run and observed: what is seen is reported, and not judged.

mod apply;
mod names;

pub use apply::{LeftOut, NotCovered};
