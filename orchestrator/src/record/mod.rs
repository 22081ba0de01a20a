//! The first half of a cell: running the workload on a disk that logs every request.
//!
//! [`recorder`] makes a recording, `line` and `steps` run a scenario's steps in the guest, `disk` controls the disk under
//! test, `witness` keeps what the steps measure, [`loaded`] reads a recording back.

mod disk;
mod line;
pub mod loaded;
pub mod recorder;
pub(crate) mod refused;
mod steps;
pub(crate) mod timings;
pub(crate) mod witness;
