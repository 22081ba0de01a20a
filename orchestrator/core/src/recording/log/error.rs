//! What can be wrong with a log.

use std::fmt;
use std::io;

use super::builder::BuildError;
use super::dmlog::SuperblockError;
use super::sidecar::SidecarError;

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The log cannot be read.
    #[error("cannot read the log: {0}")]
    Io(#[from] io::Error),
    /// Too short even for a superblock.
    #[error("not a dm-log-writes log: it has {0} bytes, less than a superblock")]
    TooShort(u64),
    /// Not a log, or not one that is known.
    #[error(transparent)]
    Superblock(#[from] SuperblockError),
    /// An entry that lies (partly) outside of the device: another device's log, or several devices in one log.
    #[error(
        "entry {entry} covers bytes {offset} to {end}, but the device has {device_size}: the log is of another device, \
         or of several"
    )]
    OutOfDevice {
        /// Which entry, from 0.
        entry: u64,
        /// Its first byte.
        offset: u64,
        /// The byte after its last.
        end: u64,
        /// Bytes of the device.
        device_size: u64,
    },
    /// The superblock of another log stands where an entry should: two logs, of which the second may be another
    /// device's, in one file.
    #[error(
        "another log starts after entry {entries}, at byte {at}: a log is of one device, and the format cannot say of \
         which; split the file there, or ignore what follows (--past-end ignore)"
    )]
    SecondLog {
        /// Entries before it.
        entries: u64,
        /// Where it starts.
        at: u64,
    },
    /// An entry that no version of the format has.
    #[error("entry {entry} at byte {at} of the log is damaged: {what}")]
    Entry {
        /// Which entry, from 0.
        entry: u64,
        /// Where it starts in the log.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// The device's size is known from two places that do not agree.
    #[error("the log is of a device of {log} bytes, not of {wanted}")]
    DeviceSize {
        /// What the log says.
        log: u64,
        /// What was asked for.
        wanted: u64,
    },
    /// A damaged sidecar.
    #[error(transparent)]
    Sidecar(#[from] SidecarError),
    /// The sidecar of another recording.
    #[error("the sidecar is not of this log: entry {entry} is {log}, but the sidecar says {sidecar}")]
    Mismatch {
        /// Which entry, from 0.
        entry: u64,
        /// What the log holds.
        log: String,
        /// What the sidecar says.
        sidecar: String,
    },
    /// Events that make no sense.
    #[error("the log is damaged: {0}")]
    Events(#[from] BuildError),
}

/// What is doubtful in a log that was loaded all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadWarning {
    /// The log ends in the middle of an entry, or before the number of entries that it claims.
    Truncated {
        /// Whole entries that were read.
        entries: u64,
        /// Entries that the superblock claims.
        claimed: u64,
    },
    /// Entries beyond the superblock's number were read (a recording that was interrupted, or QEMU's).
    PastEnd {
        /// How many.
        entries: u64,
    },
    /// What may be entries beyond the superblock's number was not read.
    IgnoredPastEnd,
    /// The sidecar was not closed: the recording was interrupted.
    Interrupted,
    /// Entries of the log that the sidecar does not know of were left out.
    UnknownEntries {
        /// How many.
        entries: u64,
    },
    /// The sidecar names entries that the log does not have; everything from there on was left out.
    MissingEntries,
    /// Writes in flight at the end, whose data is lost: no crash state can contain them.
    LostWrites {
        /// How many.
        writes: u32,
    },
    /// Nothing in the log says which order its entries are in.
    OrderGuessed {
        /// The guess.
        order: super::Order,
    },
    /// A log in completion order without submissions: a write that completed while a flush was in flight counts as
    /// covered by it, though it need not have been. With several queues or writers, what counts as durable is doubtful.
    NoSubmissions,
    /// In kernel order, a write may have completed before the mark that it follows.
    MarksAreEarly,
    /// Nothing says how large the device is: the end of the last request is taken.
    SizeGuessed {
        /// The guess in bytes.
        device_size: u64,
    },
    /// Text after a flush's own header, or a flag, that is not known, was ignored.
    UnknownFlags {
        /// Entries that had one.
        entries: u64,
    },
}

impl fmt::Display for LoadWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { entries, claimed } => {
                write!(f, "the log is cut short: {entries} whole entries of {claimed}")
            }
            Self::PastEnd { entries } => {
                write!(f, "{entries} entries beyond the number in the superblock were read")
            }
            Self::IgnoredPastEnd => f.write_str(
                "beyond the number in the superblock stand what may be more entries, or those of an older log; they \
                 were not read",
            ),
            Self::Interrupted => f.write_str("the recording was interrupted"),
            Self::UnknownEntries { entries } => {
                write!(f, "{entries} entries that the sidecar does not know of were left out")
            }
            Self::MissingEntries => {
                f.write_str("the sidecar goes on after the log's last whole entry; that part was left out")
            }
            Self::LostWrites { writes } => write!(
                f,
                "{writes} writes were in flight when the recording was interrupted, and their data is lost: no crash \
                 state contains them"
            ),
            Self::OrderGuessed { order } => {
                write!(f, "nothing says which order the entries are in; {order} order is assumed")
            }
            Self::NoSubmissions => f.write_str(
                "the log does not say when requests were submitted: a write that completed while a flush was in flight \
                 counts as durable. Trust durable states only if one request was in flight at a time",
            ),
            Self::MarksAreEarly => f.write_str(
                "the log is in kernel order: a write stands before the flush that followed it, and so after any mark \
                 between the two; states at marks hold only what was durable",
            ),
            Self::SizeGuessed { device_size } => {
                write!(f, "nothing says how large the device is; {device_size} bytes are assumed")
            }
            Self::UnknownFlags { entries } => write!(f, "{entries} entries have flags that are not known"),
        }
    }
}
