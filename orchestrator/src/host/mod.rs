//! The host: child processes, and the private directory of temporary files.

pub mod logged;
pub mod process;
pub mod scratch;
