//! The real agent binary as an ordinary process, over a Unix socket, on the host's own filesystem.

#![allow(missing_docs)]

mod errors;
mod exec;
mod harness;
mod lanes;
mod live;
mod ops;
mod protocol;
mod space;
mod walk;
