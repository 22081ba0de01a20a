//! Takes things out of the engine: logs in either order, whole or cut or filtered, and states as disk images.

mod error;
mod log;
mod qcow2;
mod raw;

pub use self::log::{LogExport, export_log};
pub use error::ExportError;
pub use qcow2::export_qcow2;
pub use raw::export_raw;
