//! The end-to-end tests: they need QEMU and the kernels that `make kernels` gets, and fail without them.

#[path = "../common/mod.rs"]
mod common;

mod automatic;
mod bad_input;
mod bisect;
mod bisect_git;
mod blklog_cross_check;
mod cached;
mod clones;
mod closed_pipe;
mod complete;
mod diff_cli;
mod disks;
mod every_step;
mod exec;
mod explore;
mod filesystems;
mod full_disk;
mod job;
mod kernel_build;
mod kernel_log;
mod live;
mod matrix;
mod nothing_left;
mod recover_on;
mod replay;
mod shards;
mod stories;
mod story_3;
mod tasks;
mod trust;
mod verify;
