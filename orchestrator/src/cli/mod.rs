//! The commands of the `coldcut` binary.

pub mod kernel;
