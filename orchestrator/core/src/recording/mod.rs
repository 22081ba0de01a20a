//! Recordings: what a workload sent to its disk, in which order, with the marks of its steps.

pub mod block;
pub mod disks;
pub mod io;
pub mod log;
pub mod mark;
pub mod synthetic;
