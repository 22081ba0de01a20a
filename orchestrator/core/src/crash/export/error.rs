//! Why exports fail.

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log does not have the cut.
    #[error("cut {0} is past the end of the log")]
    Cut(crate::recording::log::Cut),
    /// The order of the log cannot be undone.
    #[error(
        "a log in kernel order cannot be exported in completion order: it does not say when writes completed"
    )]
    Order,
    /// The log does not have the disk.
    #[error("no disk {number} in the log, which has {disks}, counted from 0")]
    Disk {
        /// What was asked for.
        number: usize,
        /// How many there are.
        disks: usize,
    },
    /// The image would be larger than the format allows.
    #[error("a device of {0} bytes is too large for a qcow2 image with clusters of 64 KiB")]
    TooLarge(u64),
    /// Reading or writing failed.
    #[error("cannot export: {0}")]
    Io(#[from] std::io::Error),
}
