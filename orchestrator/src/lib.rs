//! Everything of coldcut that touches the world: QEMU, sockets, files, processes, the terminal.
//!
//! The pure part is `coldcut-core`; start there. Here, read [`job`] first: it is the straight line from a scenario's
//! cell to a verdict, by way of [`record`] and [`recover`].

pub mod bench;
pub mod bisect;
pub mod checker;
pub mod cli;
pub mod fs;
pub mod host;
pub mod job;
pub mod kernel;
pub mod record;
pub mod recover;
pub mod report;
pub mod results;
pub mod rootfs;
pub mod vm;

pub use coldcut_disk as disk;
