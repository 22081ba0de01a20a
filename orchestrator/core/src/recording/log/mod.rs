//! Recordings: everything that happened to a device, in one total order, and the formats that hold it.
//!
//! On disk a recording is two files. The *log* is in the dm-log-writes format, so that `replay-log` and other tools of
//! the kernel read it. The *sidecar* holds what that format cannot say: when each request was submitted, which were in
//! flight, which failed. A log without a sidecar (made by dm-log-writes or by QEMU's blklogwrites) loads as well; every
//! request then counts as submitted the moment it completed.
//!
//! Read in this order: [`WriteLog`] (the model), `dmlog` and `sidecar` (the formats), [`Recorder`] (writes both),
//! `load` (reads both).

mod builder;
pub mod dmlog;
mod entries;
mod error;
mod load;
mod model;
mod recorder;
pub mod sidecar;
mod timeline;
mod write_log;

pub use builder::{BuildError, LogBuilder};
pub use error::{LoadError, LoadWarning};
pub use load::{LoadOptions, Loaded, PastEnd};
pub(crate) use model::Record;
pub use model::{Cut, DataRef, Event, Geometry, Order, PlacedMark, Request, RequestId};
pub use recorder::Recorder;
pub use timeline::Durability;
pub use write_log::WriteLog;
