//! Crash states: which disks a power cut can leave, how they are named, enumerated, rebuilt and exported.
//!
//! [`state`] says what one is, [`plan`] enumerates them, [`index`] finds any of them in microseconds, [`export`] writes
//! them in other programs' formats.

pub mod export;
pub mod index;
pub mod plan;
pub mod reads;
pub mod state;
