//! What an operation measures.

use coldcut_wire::{Op, op};

use crate::scenario::measured::{Unit, Yield};

/// What debugfs says of a backing device on every kernel from 5.10 on (`bdi_debug_stats_show` in mm/backing-dev.c).
const BDI: [(&str, Yield); 7] = [
    ("bdi_writeback", Yield::Figure(Unit::Bytes)),
    ("bdi_reclaimable", Yield::Figure(Unit::Bytes)),
    ("bdi_dirty_thresh", Yield::Figure(Unit::Bytes)),
    ("dirty_thresh", Yield::Figure(Unit::Bytes)),
    ("background_thresh", Yield::Figure(Unit::Bytes)),
    ("bdi_written", Yield::Figure(Unit::Bytes)),
    ("bdi_write_bandwidth", Yield::Figure(Unit::Bytes)),
];

/// What an operation measures, by name, beside what every step has.
pub fn measures(op: &Op) -> Vec<(String, Yield)> {
    use Yield::{Data, Figure, Series, Text};
    let bytes = ("bytes", Figure(Unit::Bytes));
    let mut fields = Vec::new();
    let mut items = Vec::new();
    match op {
        Op::Burst(op::Burst { fsync_every, .. }) => {
            items.extend([bytes, ("writes", Series(Unit::Nanos))]);
            if *fsync_every > 0 {
                items.push(("fsyncs", Series(Unit::Nanos)));
            }
        }
        Op::Read(_) => items.extend([bytes, ("reads", Series(Unit::Nanos)), ("data", Data)]),
        Op::Trace(op::Trace { fields: wanted, .. }) => {
            items.push(("events", Figure(Unit::Count)));
            fields.extend(wanted.iter().map(|field| (field.clone(), Series(Unit::Count))));
        }
        Op::Observe(_) => items.extend([
            ("found", Figure(Unit::Count)),
            ("waited", Figure(Unit::Nanos)),
            ("stack", Text),
            ("state", Text),
        ]),
        Op::Bdi => items.extend(BDI),
        Op::Pipe(_) => items.push(("capacity", Figure(Unit::Bytes))),
        Op::Socket(_) => {
            items.extend([("sndbuf", Figure(Unit::Bytes)), ("rcvbuf", Figure(Unit::Bytes))]);
        }
        Op::Transfer(_) | Op::Vmsplice(_) => {
            items.extend([bytes, ("calls", Series(Unit::Nanos))]);
        }
        Op::Pump(_) => items.extend([
            bytes,
            ("fills", Series(Unit::Nanos)),
            ("drains", Series(Unit::Nanos)),
        ]),
        Op::Consume(_) | Op::Pending(_) => items.push(bytes),
        Op::Commit(_) => items.push(("waited", Figure(Unit::Nanos))),
        Op::Open(_)
        | Op::Close(_)
        | Op::Mkdir(_)
        | Op::Create(_)
        | Op::Write(_)
        | Op::Truncate(_)
        | Op::Fallocate(_)
        | Op::Rename(_)
        | Op::Link(_)
        | Op::Symlink(_)
        | Op::Unlink(_)
        | Op::Rmdir(_)
        | Op::Setxattr(_)
        | Op::Removexattr(_)
        | Op::Chmod(_)
        | Op::Chown(_)
        | Op::Utimes(_)
        | Op::Fsync(_)
        | Op::Fdatasync(_)
        | Op::Sync
        | Op::Syncfs
        | Op::SyncFileRange(_)
        | Op::MmapStore(_)
        | Op::Sleep(_)
        | Op::DropCaches(_)
        | Op::Sysctl(_)
        | Op::Collect(_)
        | Op::WatchJournal => {}
    }
    let named = items.into_iter().map(|(name, shape)| (name.to_owned(), shape));
    named.chain(fields).collect()
}

/// The label under which what an operation measures is kept, where that is not its own step's: what a trace saw is the
/// trace's, whichever step collects it.
pub fn measured_as(op: &Op) -> Option<&str> {
    match op {
        Op::Collect(op) => Some(&op.name),
        Op::Open(_)
        | Op::Close(_)
        | Op::Mkdir(_)
        | Op::Create(_)
        | Op::Write(_)
        | Op::Truncate(_)
        | Op::Fallocate(_)
        | Op::Rename(_)
        | Op::Link(_)
        | Op::Symlink(_)
        | Op::Unlink(_)
        | Op::Rmdir(_)
        | Op::Setxattr(_)
        | Op::Removexattr(_)
        | Op::Chmod(_)
        | Op::Chown(_)
        | Op::Utimes(_)
        | Op::Fsync(_)
        | Op::Fdatasync(_)
        | Op::Sync
        | Op::Syncfs
        | Op::SyncFileRange(_)
        | Op::MmapStore(_)
        | Op::Sleep(_)
        | Op::DropCaches(_)
        | Op::Sysctl(_)
        | Op::Burst(_)
        | Op::Read(_)
        | Op::Trace(_)
        | Op::Observe(_)
        | Op::Bdi
        | Op::Pipe(_)
        | Op::Socket(_)
        | Op::Transfer(_)
        | Op::Vmsplice(_)
        | Op::Pump(_)
        | Op::Consume(_)
        | Op::Pending(_)
        | Op::WatchJournal
        | Op::Commit(_) => None,
    }
}
