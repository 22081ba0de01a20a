//! What can go wrong with a device.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// An operation on a device did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeviceError {
    /// The socket could not be made.
    #[error("cannot serve a device at {path}: {error}", path = path.display())]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        error: Arc<io::Error>,
    },
    /// An image whose size no block device has.
    #[error("an image of {0} bytes: expected a multiple of 512 from 512 bytes to 16 TiB")]
    Size(u64),
    /// An image of another size than the device's.
    #[error("an image of {found} bytes for a device of {expected} bytes: expected the same size")]
    OtherSize {
        /// The image's, in bytes.
        found: u64,
        /// The device's, in bytes.
        expected: u64,
    },
    /// Requests are still in flight after the time given.
    #[error("{in_flight} requests are still in flight after {waited:?}: expected none")]
    Busy {
        /// How many.
        in_flight: u32,
        /// How long was waited.
        waited: Duration,
    },
    /// A recording is under way already.
    #[error("the device is recording already")]
    Recording,
    /// Nothing is being recorded.
    #[error("the device is not recording")]
    NotRecording,
    /// The log could not be written: the recording is unusable and the device acknowledges nothing more.
    #[error("the write log failed, so the device stopped: {0}")]
    Log(Arc<io::Error>),
    /// The guest wrote more than it may.
    #[error("the guest wrote more than {0} bytes, so the device stopped (--max-recording allows more)")]
    TooMuch(u64),
    /// The image below could not be read: the device acknowledges nothing more.
    #[error("the image below the device cannot be read, so the device stopped: {0}")]
    Image(Arc<io::Error>),
    /// A defect of coldcut: a thread panicked while it worked on the device, which acknowledges nothing more.
    #[error("a thread panicked inside the device, so the device stopped")]
    Panicked,
}
