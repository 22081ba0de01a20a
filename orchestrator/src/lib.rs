//! Everything of coldcut that touches the world: QEMU, sockets, files, packages.
//!
//! The pure half (scenarios, write logs, crash states, the oracle) is in `coldcut-core`.

pub mod cli;
pub mod initramfs;
pub mod kernel;
