//! The straight line: a scenario's cell is recorded, its crash states are recovered and judged.
//!
//! [`lab`] has the machines, [`session`] the conversation with one guest, [`record`] makes a recording, [`recover`]
//! recovers one content, [`cell`] ties them to a verdict.

pub mod cell;
pub mod lab;
pub mod record;
pub mod recover;
pub mod session;
