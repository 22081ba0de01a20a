//! Workloads by the thousand: every history within bounds, each once.
//!
//! As ACE does (Mohan and others, "Finding crash-consistency bugs with bounded black-box crash testing", OSDI 2018), a
//! workload is a short sequence of changes, each followed by a persistence point or by none, and the last by one. It is
//! found in four choices: which operations, on which of a few names, what is synced after each, and what must be there
//! before. Unlike there, what must be there is part of the setup, so it is durable; and directories, symbolic links and
//! files that are open without a name are changed and synced as files are.
//!
//! [`Bounds`] say which names, operations and persistence points there are. [`Workloads`] streams them in one fixed order;
//! of workloads that differ only in how alike names are called there is one. [`sample`] draws some of them.

mod bounds;
mod change;
mod changes;
mod persist;
mod sample;
mod shape;
mod symmetry;
mod workload;
mod workloads;
mod world;

pub use bounds::{Bounds, BoundsError};
pub use change::Kind;
pub use persist::Point;
pub use sample::sample;
pub use shape::shape;
pub use workload::Workload;
pub use workloads::Workloads;

#[cfg(test)]
mod tests;
