//! The pure core of coldcut: no tokio, no files, no clock, no processes.
//!
//! Read in this order: [`scenario`] (what is asked), [`io`] and [`mark`] (what a recording consists of), `log`
//! (recordings and their formats), `state` and `plan` (crash states), [`recovery`] (what was found after the cut),
//! [`rules`] (what the device is told to do), [`oracle`] (what that means), [`live`] (what is seen without a crash),
//! [`verdict`] and [`event`] (what is reported).

pub mod bisect;
pub mod block;
pub mod covered;
pub mod diff;
pub mod event;
pub mod export;
pub mod generate;
pub mod grid;
pub mod index;
pub mod io;
pub mod kernels;
pub mod live;
pub mod log;
pub mod mark;
pub mod matrix;
pub mod oracle;
pub mod plan;
pub mod recovery;
pub mod result;
pub mod rounds;
pub mod rules;
pub mod scenario;
pub mod shard;
pub mod state;
pub mod synthetic;
pub mod verdict;
