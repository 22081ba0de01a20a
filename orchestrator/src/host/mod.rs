//! The host: child processes, and the private directory of temporary files.

pub mod capture;
mod guard;
pub mod logged;
pub mod process;
pub mod scratch;
pub mod tool;
