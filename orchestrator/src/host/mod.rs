//! The host: child processes, the private directory of temporary files, and caches.

pub mod cache;
pub mod capture;
pub mod files;
mod guard;
pub mod logged;
pub mod process;
pub mod quota;
pub mod scratch;
pub mod sparse;
pub mod tool;
