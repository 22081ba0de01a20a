//! The disk under test: an NBD server in this process that QEMU attaches.
//!
//! A [`Device`] serves an image with an overlay in memory that takes the writes. Over one connection it changes its
//! face through a [`DeviceHandle`]: it serves, it records every request that changes something into a
//! [`coldcut_core::recording::io::IoLog`], it is cut off when the recording ends, and it serves the next image.
//!
//! The one total order is that of one lock: a request is submitted when it is parsed, then the [`Injector`] decides
//! whether it is held, delayed or failed, then it is completed in the log and applied to the content in one step, and
//! only then its reply goes to the buffer that is sent. Marks, freezes and changes of the face take the same lock.
//!
//! Discarded ranges read as zeros, as do zeroed ones: an image is the replay of its log over its base, byte for byte.
//!
//! From bytes to disk: [`proto`] (numbers), `handshake`, `request` (bounds), `session` (bytes in, bytes out, no
//! socket), `connection` (socket), `server` (thread and listener); `faces` (the order), `image` and `overlay` (the
//! content).

pub mod client;
mod connection;

mod error;
mod export;
mod faces;
mod faults;
mod file;
mod fuzz;
mod handle;
mod handshake;
mod image;
mod injector;
mod noted;
mod overlay;
pub mod proto;
mod request;
mod server;
mod session;

pub use error::DeviceError;
pub use export::export_sparse;
pub use faces::Counters;
pub use faults::{Faults, Overdue};
pub use file::FileImage;
pub use fuzz::{Conversation, converse, fuzz};
pub use handle::{ActiveRecording, DeviceHandle};
pub use handshake::ProtocolError;
pub use image::FrozenImage;
pub use injector::{Admission, Injector, Resume, Stored};
pub use noted::Noted;
pub use request::Request;
pub use server::Device;
