//! The modes of ext4.

use super::{Covers, Disk, Guarantee, Mode};

/// `Documentation/admin-guide/ext4.rst` of the kernel.
const EXT4: &str = "Documentation/admin-guide/ext4.rst";
/// ext4(5) of e2fsprogs.
const MAN: &str = "ext4(5)";
/// `Documentation/filesystems/ext4/journal.rst` of the kernel.
const JOURNAL: &str = "Documentation/filesystems/ext4/journal.rst, fast commits";
/// `Documentation/filesystems/ext4/orphan.rst` of the kernel.
const ORPHAN: &str = "Documentation/filesystems/ext4/orphan.rst";

const ORDERED: &str = "data reaches the disk before the metadata that points to it is committed";

const fn all(says: &'static str, source: &'static str) -> Guarantee {
    Guarantee {
        covers: Covers::All,
        says,
        source,
    }
}

const DEFAULT: Mode = Mode {
    name: "default",
    mkfs: &[],
    journal: true,
    mount: "",
    disk: Disk::Any,
    guarantee: all(ORDERED, EXT4),
};

const fn mounted(name: &'static str, mount: &'static str, guarantee: Guarantee) -> Mode {
    Mode {
        name,
        mount,
        guarantee,
        ..DEFAULT
    }
}

const fn made(name: &'static str, mkfs: &'static [&'static str], guarantee: Guarantee) -> Mode {
    Mode {
        name,
        mkfs,
        guarantee,
        ..DEFAULT
    }
}

const UNORDERED: Guarantee = Guarantee {
    covers: Covers::NotFreshBlocks,
    says: "metadata may be committed before the data that it points to: after a crash, blocks that were newly allocated \
           may show what they held before; what was synced is not affected",
    source: EXT4,
};

pub(super) const MODES: &[Mode] = &[
    DEFAULT,
    mounted("ordered", "data=ordered", all(ORDERED, EXT4)),
    mounted("writeback", "data=writeback", UNORDERED),
    mounted(
        "journal",
        "data=journal",
        all("data goes through the journal like metadata", EXT4),
    ),
    mounted(
        "nodelalloc",
        "nodelalloc",
        all(
            "only when blocks are allocated changes, not the order of data and commit",
            EXT4,
        ),
    ),
    mounted(
        "dioread_lock",
        "dioread_lock",
        all(
            "extents are allocated as written; data=ordered still orders data before the commit",
            EXT4,
        ),
    ),
    mounted(
        "noauto_da_alloc",
        "noauto_da_alloc",
        all(
            "files replaced without fsync may be found empty; what was synced is not affected",
            EXT4,
        ),
    ),
    Mode {
        disk: Disk::Battery,
        ..mounted(
            "nobarrier-battery",
            "nobarrier",
            all(
                "without barriers, a disk that loses nothing that completed is as safe as with them",
                EXT4,
            ),
        )
    },
    mounted(
        "nobarrier",
        "nobarrier",
        Guarantee {
            covers: Covers::Nothing,
            says: "barriers are what makes a volatile write cache safe to use",
            source: EXT4,
        },
    ),
    mounted(
        "journal_checksum",
        "journal_checksum",
        all(
            "transactions carry checksums; the order of data and commit stays",
            EXT4,
        ),
    ),
    mounted(
        "journal_async_commit",
        "journal_async_commit",
        all(
            "the commit block does not wait for the blocks before it, and the checksum tells whether they came; \
             kernels refuse it with data=ordered",
            EXT4,
        ),
    ),
    mounted(
        "journal_async_commit-writeback",
        "journal_async_commit,data=writeback",
        UNORDERED,
    ),
    mounted(
        "commit-1",
        "commit=1",
        all(
            "a transaction is at most a second old; nothing else changes",
            EXT4,
        ),
    ),
    made(
        "fast_commit",
        &["-O", "fast_commit"],
        all(
            "fsync writes a shorter record of what changed, and promises the same",
            JOURNAL,
        ),
    ),
    Mode {
        journal: false,
        ..made(
            "no-journal",
            &["-O", "^has_journal"],
            Guarantee {
                covers: Covers::Nothing,
                says: "nothing orders metadata: the filesystem must be checked and repaired before it is used again, \
                       which coldcut does not do for the kernel",
                source: MAN,
            },
        )
    },
    made(
        "inline_data",
        &["-O", "inline_data"],
        all(
            "the data of small files is metadata of their inodes, and is journalled with them",
            MAN,
        ),
    ),
    made(
        "bigalloc",
        &["-O", "bigalloc"],
        all(
            "blocks are allocated in clusters; the order of data and commit stays",
            MAN,
        ),
    ),
    made(
        "no-extents",
        &["-O", "^extent,^64bit"],
        all(
            "blocks are mapped as in ext3; the order of data and commit stays",
            MAN,
        ),
    ),
    made(
        "1k-blocks",
        &["-b", "1024"],
        all(
            "blocks are smaller than pages; the order of data and commit stays",
            MAN,
        ),
    ),
    made(
        "no-metadata_csum",
        &["-O", "^metadata_csum"],
        all(
            "metadata carries no checksums; the order of data and commit stays",
            MAN,
        ),
    ),
    made(
        "orphan_file",
        &["-O", "orphan_file"],
        all(
            "files to be freed after a crash are listed in a file rather than chained",
            ORPHAN,
        ),
    ),
];
