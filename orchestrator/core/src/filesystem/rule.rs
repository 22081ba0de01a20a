//! The rules by which what is found after a power cut is judged without anybody writing expectations. Which of them a
//! filesystem keeps in which mode, and who says so, is a [`Level`](super::Level).

use serde::{Deserialize, Serialize};

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// What was there when the setup was unmounted is there, unless a step changed it since.
    Unmounted,
    /// Data that was synced is there: fsync, fdatasync, `O_SYNC`, `O_DSYNC`, `MS_SYNC`, of the file's own; sync, syncfs.
    SyncedData,
    /// A file that was synced has the size that it had.
    SyncedSize,
    /// Mode and owner of what was fsynced.
    SyncedAttributes,
    /// Extended attributes of what was fsynced.
    SyncedXattrs,
    /// Names of a directory that was fsynced: those that were made are there, those that were removed are not.
    SyncedNames,
    /// The names of a file that was fsynced, though no directory was.
    FsyncedName,
    /// sync and syncfs make everything durable.
    Synced,
    /// A file holds nothing but zeros and what was written to it.
    NoForeignData,
    /// What nobody made is not found: names, types, values of attributes, targets of links.
    NothingMadeUp,
    /// A renamed file has its old name or its new one: not none, and not both.
    RenameAtomic,
    /// A file has as many names as its link count says.
    LinkCount,
    /// What is found can be read.
    Readable,
    /// The checker finds nothing.
    CheckerClean,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 14] = [
        Self::Unmounted,
        Self::SyncedData,
        Self::SyncedSize,
        Self::SyncedAttributes,
        Self::SyncedXattrs,
        Self::SyncedNames,
        Self::FsyncedName,
        Self::Synced,
        Self::NoForeignData,
        Self::NothingMadeUp,
        Self::RenameAtomic,
        Self::LinkCount,
        Self::Readable,
        Self::CheckerClean,
    ];

    /// Its name in reports.
    pub fn id(self) -> &'static str {
        match self {
            Self::Unmounted => "unmounted",
            Self::SyncedData => "synced-data",
            Self::SyncedSize => "synced-size",
            Self::SyncedAttributes => "synced-attributes",
            Self::SyncedXattrs => "synced-xattrs",
            Self::SyncedNames => "synced-names",
            Self::FsyncedName => "fsynced-name",
            Self::Synced => "synced",
            Self::NoForeignData => "no-foreign-data",
            Self::NothingMadeUp => "nothing-made-up",
            Self::RenameAtomic => "rename-atomic",
            Self::LinkCount => "link-count",
            Self::Readable => "readable",
            Self::CheckerClean => "checker-clean",
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}
