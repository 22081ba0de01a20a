//! Outcomes: what was recovered, found and decided, the events that report it, and how results are compared.

pub mod cell;
pub mod completeness;
pub mod diff;
pub mod event;
pub mod grid;
pub mod groups;
pub mod kernels;
pub mod name;
pub mod phase;
pub mod place;
pub mod recovery;
pub mod result;
pub mod rewrite;
pub mod rounds;
pub mod shard;
pub mod totals;
pub mod unknown;
pub mod verdict;
