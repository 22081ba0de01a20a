//! The second half of a cell: recovering crash states, and judging what is found.
//!
//! `contents` cuts a recording, [`recoverer`] recovers one image, [`strategy`] says who recovers which, `judge` judges all.

pub(crate) mod contents;
pub(crate) mod judge;
pub mod recoverer;
pub mod strategy;
