//! The tests that start no guest: the disk over real sockets, the command line on files, reports, the kernel store.

#[path = "../common/mod.rs"]
mod common;

mod dependencies;
mod device;
mod explore_cli;
mod forgotten;
mod hostile_runs;
mod html;
mod import_cli;
mod kernel_store;
mod killed;
mod log_cli;
mod nbd_fuzz;
mod nbd_interop;
mod reports;
mod setup;
