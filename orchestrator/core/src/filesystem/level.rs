//! Levels: which rules a filesystem keeps in a mode after a power cut, and who says so.
//!
//! A rule that a level does not list is not judged there. One that it lists without a source is looked at, and what breaks
//! it is reported as observed: that is how the filesystem was seen to behave, and nobody promises it.

use super::Rule;

/// What is promised.
#[derive(Debug, PartialEq, Eq)]
pub struct Level {
    /// Its name in scenarios and reports.
    pub name: &'static str,
    /// In our words.
    pub says: &'static str,
    /// The rules that hold.
    pub rules: &'static [Kept],
    /// Whether changes of names and attributes are transactions: each is there as a whole or not at all. Without, a name that
    /// was being changed may lead anywhere.
    pub transactions: bool,
}

/// A rule that a level keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The rule.
    pub rule: Rule,
    /// Where it is promised; empty where it is only observed.
    pub source: &'static str,
}

/// How a filesystem is made and mounted, as far as its promises depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Configuration<'a> {
    /// Options of mkfs.
    pub mkfs: &'a [String],
    /// Mount options, separated by commas.
    pub mount: &'a str,
    /// Whether the disk may lose what it has not flushed.
    pub write_cache: bool,
}

impl Configuration<'_> {
    /// Whether it is mounted with this option: the last of those that begin with the same key decides.
    pub fn mounted(&self, option: &str) -> bool {
        let key = option.split('=').next().unwrap_or(option);
        let of_key = |given: &&str| given.split('=').next() == Some(key);
        self.mount.split(',').rfind(of_key) == Some(option)
    }

    /// Whether a feature (`-O`) is turned on (`true`), off (`^`), or left as it comes.
    pub fn feature(&self, feature: &str) -> Option<bool> {
        let lists = self.mkfs.windows(2).filter(|pair| pair[0] == "-O");
        let mut words = lists.flat_map(|pair| pair[1].split(',')).rev();
        words.find_map(|word| match word.strip_prefix('^') {
            Some(off) => (off == feature).then_some(false),
            None => (word == feature).then_some(true),
        })
    }
}

impl Level {
    /// All levels.
    pub const ALL: [&'static Self; 10] = [
        &NOTHING,
        &POSIX,
        &EXT4_ORDERED,
        &EXT4_WRITEBACK,
        &EXT4_JOURNAL,
        &EXT4_NO_JOURNAL,
        &XFS,
        &BTRFS,
        &F2FS,
        &F2FS_STRICT,
    ];

    /// The level with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.into_iter().find(|level| level.name == name)
    }

    /// That of a disk which loses what it acknowledged as flushed.
    pub fn nothing() -> &'static Self {
        &NOTHING
    }

    /// How a rule is kept, if it is.
    pub fn keeps(&self, rule: Rule) -> Option<&'static Kept> {
        self.rules.iter().find(|kept| kept.rule == rule)
    }
}

const fn kept(rule: Rule, source: &'static str) -> Kept {
    Kept { rule, source }
}

const UMOUNT: Kept = kept(Rule::Unmounted, "umount(8), sync(2)");
const DATA: Kept = kept(
    Rule::SyncedData,
    "fsync(2), fdatasync(2); open(2), O_SYNC and O_DSYNC; msync(2), MS_SYNC",
);
const SIZE: Kept = kept(
    Rule::SyncedSize,
    "fsync(2); fdatasync(2): \"a change to the file size\"",
);
const ATTRIBUTES: Kept = kept(
    Rule::SyncedAttributes,
    "fsync(2): \"metadata information associated with the file\"",
);
const XATTRS: Kept = kept(
    Rule::SyncedXattrs,
    "fsync(2): \"metadata information associated with the file\"; fstests generic/066",
);
const NAMES: Kept = kept(Rule::SyncedNames, "fsync(2), on a descriptor of the directory");
const SYNC: Kept = kept(Rule::Synced, "sync(2), syncfs(2)");
const READABLE: Kept = kept(
    Rule::Readable,
    "read(2), getdents(2): no error without a fault of the disk",
);

/// What its filesystems have in common with xfs, ext4 and btrfs.
const FSYNCED_NAME: Kept = kept(
    Rule::FsyncedName,
    "Documentation/filesystems/f2fs.rst (fsync_mode=strict: as xfs, ext4 and btrfs); fstests generic/342",
);

/// Documentation/filesystems/ext4/journal.rst: the journal protects "the filesystem against metadata inconsistencies in the
/// case of a system crash".
const EXT4_JOURNALLED: &str = "Documentation/filesystems/ext4/journal.rst";
const EXT4_MODES: &str = "Documentation/admin-guide/ext4.rst (data mode)";
const XFS_LOG: &str = "Documentation/filesystems/xfs/xfs-delayed-logging-design.rst";
const BTRFS_COW: &str = "btrfs(5); Documentation/filesystems/btrfs.rst (copy on write)";
const F2FS_CHECKPOINT: &str = "Documentation/filesystems/f2fs.rst (checkpoint)";

/// Promises nothing: what is left is chance.
static NOTHING: Level = Level {
    name: "nothing",
    says: "nothing survives for certain",
    rules: &[],
    transactions: false,
};

/// The least that the manual pages promise.
static POSIX: Level = Level {
    name: "posix",
    says: "what was synced is there; names by fsync of their directory",
    rules: &[UMOUNT, DATA, SIZE, ATTRIBUTES, XATTRS, NAMES, SYNC, READABLE],
    transactions: false,
};

macro_rules! ext4 {
    ($($more:expr),*) => {
        &[
            UMOUNT, DATA, SIZE, ATTRIBUTES, XATTRS, NAMES, SYNC, READABLE, FSYNCED_NAME,
            kept(Rule::NothingMadeUp, EXT4_JOURNALLED),
            kept(Rule::RenameAtomic, "rename(2), atomically replaced; Documentation/filesystems/ext4/journal.rst"),
            kept(Rule::LinkCount, "e2fsck(8), pass 4; Documentation/filesystems/ext4/journal.rst"),
            kept(Rule::CheckerClean, EXT4_JOURNALLED),
            $($more),*
        ]
    };
}

static EXT4_ORDERED: Level = Level {
    name: "ext4-ordered",
    says: "metadata by transactions, and data before the metadata that points to it",
    rules: ext4!(kept(Rule::NoForeignData, EXT4_MODES)),
    transactions: true,
};

static EXT4_WRITEBACK: Level = Level {
    name: "ext4-writeback",
    says: "metadata by transactions; blocks that are new to a file may show what they held before",
    rules: ext4!(),
    transactions: true,
};

static EXT4_JOURNAL: Level = Level {
    name: "ext4-journal",
    says: "metadata and data by transactions",
    rules: ext4!(kept(Rule::NoForeignData, EXT4_MODES)),
    transactions: true,
};

static EXT4_NO_JOURNAL: Level = Level {
    name: "ext4-nojournal",
    says: "after e2fsck -f -y, what was synced is there",
    rules: &[
        UMOUNT,
        DATA,
        SIZE,
        ATTRIBUTES,
        XATTRS,
        NAMES,
        SYNC,
        READABLE,
        kept(Rule::LinkCount, "e2fsck(8), pass 4"),
        kept(Rule::CheckerClean, "e2fsck(8)"),
    ],
    transactions: false,
};

static XFS: Level = Level {
    name: "xfs",
    says: "metadata by transactions, in their order; new blocks show zeros until their data is there",
    rules: &[
        UMOUNT,
        DATA,
        SIZE,
        ATTRIBUTES,
        XATTRS,
        NAMES,
        SYNC,
        READABLE,
        FSYNCED_NAME,
        kept(Rule::NothingMadeUp, XFS_LOG),
        kept(
            Rule::RenameAtomic,
            "rename(2), atomically replaced; fstests generic/335",
        ),
        kept(
            Rule::LinkCount,
            "xfs_repair(8), phase 7; Documentation/filesystems/xfs/xfs-delayed-logging-design.rst",
        ),
        kept(
            Rule::NoForeignData,
            "fstests generic/042 (no stale data is exposed)",
        ),
        kept(Rule::CheckerClean, XFS_LOG),
    ],
    transactions: true,
};

static BTRFS: Level = Level {
    name: "btrfs",
    says: "a transaction is there as a whole or not at all; fsync makes a file and its names durable by itself",
    rules: &[
        UMOUNT,
        DATA,
        SIZE,
        ATTRIBUTES,
        XATTRS,
        NAMES,
        SYNC,
        READABLE,
        FSYNCED_NAME,
        kept(Rule::NothingMadeUp, BTRFS_COW),
        kept(
            Rule::RenameAtomic,
            "rename(2), atomically replaced; fstests generic/335",
        ),
        kept(Rule::LinkCount, "btrfs-check(8)"),
        kept(Rule::NoForeignData, BTRFS_COW),
        kept(Rule::CheckerClean, BTRFS_COW),
    ],
    transactions: true,
};

macro_rules! f2fs {
    ($($more:expr),*) => {
        &[
            UMOUNT, DATA, SIZE, ATTRIBUTES, XATTRS, NAMES, SYNC, READABLE,
            kept(Rule::LinkCount, "fsck.f2fs(8)"),
            kept(Rule::CheckerClean, F2FS_CHECKPOINT),
            kept(Rule::NothingMadeUp, ""),
            kept(Rule::NoForeignData, ""),
            kept(Rule::RenameAtomic, ""),
            $($more),*
        ]
    };
}

static F2FS: Level = Level {
    name: "f2fs",
    says: "fsync_mode=posix: what was synced is there; names by fsync of their directory",
    rules: f2fs!(),
    transactions: true,
};

static F2FS_STRICT: Level = Level {
    name: "f2fs-strict",
    says: "fsync_mode=strict: as posix, and fsync of a file makes its names durable",
    rules: f2fs!(FSYNCED_NAME),
    transactions: true,
};

/// ext4, ext3 and ext2.
pub(super) fn ext4(made: &Configuration<'_>, has_journal: bool) -> &'static Level {
    let off = ["nobarrier", "barrier=0", "barrier=none"];
    if made.write_cache && off.iter().any(|option| made.mounted(option)) {
        return &NOTHING;
    }
    match made.feature("has_journal").unwrap_or(has_journal) {
        false => &EXT4_NO_JOURNAL,
        true if made.mounted("data=writeback") => &EXT4_WRITEBACK,
        true if made.mounted("data=journal") => &EXT4_JOURNAL,
        true => &EXT4_ORDERED,
    }
}

/// xfs.
pub(super) fn xfs(made: &Configuration<'_>) -> &'static Level {
    if made.write_cache && made.mounted("nobarrier") {
        return &NOTHING;
    }
    &XFS
}

/// btrfs.
pub(super) fn btrfs(made: &Configuration<'_>) -> &'static Level {
    if made.write_cache && made.mounted("nobarrier") {
        return &NOTHING;
    }
    &BTRFS
}

/// f2fs.
pub(super) fn f2fs(made: &Configuration<'_>) -> &'static Level {
    if made.mounted("fsync_mode=strict") {
        &F2FS_STRICT
    } else if made.mounted("fsync_mode=nobarrier") || made.mounted("nobarrier") {
        &NOTHING
    } else {
        &F2FS
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::{ALL, FsType, mode};
    use super::*;

    #[test]
    fn every_mode_has_the_level_of_its_promise() {
        let mut table = String::new();
        for fs in ALL {
            for mode in fs.modes {
                let mkfs: Vec<String> = mode.mkfs.iter().map(|word| (*word).to_owned()).collect();
                let made = Configuration {
                    mkfs: &mkfs,
                    mount: mode.mount,
                    write_cache: mode.disk == super::super::Disk::Any,
                };
                let level = (fs.level)(&made);
                writeln!(table, "{}: {}", mode.name, level.name).expect("to a string");
            }
        }
        insta::assert_snapshot!("levels", table);
    }

    #[test]
    fn the_last_option_decides() {
        let made = |mount| Configuration {
            mkfs: &[],
            mount,
            write_cache: true,
        };
        let ext4 = |mount| (FsType::first().level)(&made(mount)).name;
        assert_eq!(ext4("data=journal,data=writeback"), "ext4-writeback");
        assert_eq!(ext4("noatime,nobarrier"), "nothing");
        assert!(mode("writeback").is_some());
    }

    #[test]
    fn each_is_named_once_and_keeps_a_rule_once() {
        for (index, level) in Level::ALL.iter().enumerate() {
            assert_eq!(
                Level::ALL.iter().position(|other| other.name == level.name),
                Some(index)
            );
            for rule in Rule::ALL {
                assert!(
                    level.rules.iter().filter(|kept| kept.rule == rule).count() <= 1,
                    "{rule}"
                );
            }
        }
    }
}
