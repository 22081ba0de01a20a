//! Workloads of other tools as scenarios.

pub mod jlang;
