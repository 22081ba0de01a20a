//! Changes: an operation with its names and numbers.

use coldcut_wire::FallocateMode;
use serde::{Deserialize, Serialize};

/// An operation, whatever it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A file is made, empty.
    Create,
    /// A directory is made.
    Mkdir,
    /// write(2): at the end, in the middle, over the end.
    Write,
    /// The same with `O_DIRECT`, or with `O_SYNC`.
    DirectWrite,
    /// A store through a shared mapping.
    MmapStore,
    /// fallocate(2) in every mode.
    Fallocate,
    /// truncate(2): to nothing, to less, to more.
    Truncate,
    /// link(2).
    Link,
    /// symlink(2).
    Symlink,
    /// unlink(2) of a file or a symbolic link.
    Unlink,
    /// rmdir(2).
    Rmdir,
    /// rename(2) of a file, a symbolic link or a directory: to a new name, or over another.
    Rename,
    /// renameat2(2) with `RENAME_EXCHANGE`.
    Exchange,
    /// An extended attribute is set.
    Setxattr,
    /// An extended attribute is removed.
    Removexattr,
    /// chmod(2).
    Chmod,
    /// unlink(2) of a file that is open, and a write to it.
    UnlinkOpen,
    /// rmdir(2) of a directory that is open.
    RmdirOpen,
    /// rename(2) over a file that is open.
    ReplaceOpen,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Create,
        Self::Mkdir,
        Self::Write,
        Self::DirectWrite,
        Self::MmapStore,
        Self::Fallocate,
        Self::Truncate,
        Self::Link,
        Self::Symlink,
        Self::Unlink,
        Self::Rmdir,
        Self::Rename,
        Self::Exchange,
        Self::Setxattr,
        Self::Removexattr,
        Self::Chmod,
        Self::UnlinkOpen,
        Self::RmdirOpen,
        Self::ReplaceOpen,
    ];

    /// A short name, for workloads.
    pub fn short(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Mkdir => "mkdir",
            Self::Write => "write",
            Self::DirectWrite => "dwrite",
            Self::MmapStore => "mmap",
            Self::Fallocate => "falloc",
            Self::Truncate => "trunc",
            Self::Link => "link",
            Self::Symlink => "symlink",
            Self::Unlink => "unlink",
            Self::Rmdir => "rmdir",
            Self::Rename => "rename",
            Self::Exchange => "xchg",
            Self::Setxattr => "setxattr",
            Self::Removexattr => "rmxattr",
            Self::Chmod => "chmod",
            Self::UnlinkOpen => "unlinkopen",
            Self::RmdirOpen => "rmdiropen",
            Self::ReplaceOpen => "replopen",
        }
    }
}

/// Where in a file, by its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// Behind its end.
    End,
    /// Within it, not aligned to blocks.
    Middle,
    /// Across its end.
    Across,
    /// Its first two blocks.
    Start,
}

impl Span {
    /// First byte and number of bytes, in a file of this size.
    pub(super) fn of(self, size: u64) -> (u64, u64) {
        match self {
            Self::End => (size, 8192),
            Self::Middle => (size.saturating_sub(9000), 5000),
            Self::Across => (size.saturating_sub(2000), 5000),
            Self::Start => (0, 8192),
        }
    }
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Buffered,
    Direct,
    Synced,
}

/// A new size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Nothing,
    Less,
    More,
}

impl Cut {
    pub(super) fn of(self, size: u64) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Less => size / 4 + 500,
            Self::More => size + 5000,
        }
    }
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Create(String),
    Mkdir(String),
    Write {
        path: String,
        span: Span,
        how: How,
    },
    MmapStore {
        path: String,
        span: Span,
        synced: bool,
    },
    Fallocate {
        path: String,
        mode: FallocateMode,
        span: Span,
    },
    Truncate {
        path: String,
        cut: Cut,
    },
    Link {
        from: String,
        to: String,
    },
    Symlink {
        path: String,
        target: String,
    },
    Unlink {
        path: String,
        symlink: bool,
    },
    Rmdir(String),
    Rename {
        from: String,
        to: String,
        what: Moved,
        over: bool,
    },
    Exchange {
        from: String,
        to: String,
        what: Moved,
    },
    Setxattr {
        path: String,
        directory: bool,
    },
    Removexattr {
        path: String,
    },
    Chmod {
        path: String,
        directory: bool,
    },
    UnlinkOpen(String),
    RmdirOpen(String),
    ReplaceOpen {
        from: String,
        to: String,
    },
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    File,
    Symlink,
    Directory,
}

impl Change {
    /// The names that it is about, in order.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Create(path)
            | Self::Mkdir(path)
            | Self::Rmdir(path)
            | Self::UnlinkOpen(path)
            | Self::RmdirOpen(path)
            | Self::Write { path, .. }
            | Self::MmapStore { path, .. }
            | Self::Fallocate { path, .. }
            | Self::Truncate { path, .. }
            | Self::Unlink { path, .. }
            | Self::Setxattr { path, .. }
            | Self::Removexattr { path }
            | Self::Chmod { path, .. } => vec![path],
            Self::Link { from, to }
            | Self::Rename { from, to, .. }
            | Self::Exchange { from, to, .. }
            | Self::ReplaceOpen { from, to } => vec![from, to],
            Self::Symlink { path, target } => vec![target, path],
        }
    }
}
