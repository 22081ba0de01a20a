//! The pure core of coldcut: no tokio, no files, no clock, no processes. `clippy.toml` forbids them.
//!
//! Read in this order: [`scenario`] (what is asked), [`filesystem`] (all that is known of each), [`recording`] (what a
//! workload sent to its disk), [`faults`] (what the disk is told to do), [`crash`] (which disks a power cut can leave),
//! [`model`] (what a workload's steps made and synced), [`outcome`] (what was recovered and what is reported), [`oracle`] (what that means), [`search`] (which kernel changed
//! it).

pub mod columns;
pub mod covered;
pub mod crash;
pub mod explore;
pub mod faults;
pub mod filesystem;
pub mod generate;
pub mod import;
pub mod minimize;
pub mod model;
pub mod oracle;
pub mod outcome;
pub mod recording;
pub mod scenario;
pub mod search;
