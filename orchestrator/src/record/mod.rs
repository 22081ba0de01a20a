//! The first half of a cell: running the workload on a disk that logs every request.
//!
//! [`recorder`] makes a recording of a [`job`], `run` drives the scenario in its machine, `line` and `steps` run its steps
//! in the guest, `disk` controls the disk under test, `witness` keeps what the steps measure, [`loaded`] reads a
//! recording back.

mod disk;
pub mod job;
mod line;
pub mod loaded;
pub mod recorder;
mod refused;
mod run;
mod steps;
pub(crate) mod timings;
pub(crate) mod witness;
