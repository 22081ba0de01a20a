//! The modes of ext4. Sources: the kernel's own tree, and the pages of e2fsprogs 1.47.0. Where the description of a
//! feature says nothing of what a crash leaves, that of the data mode does, and both are named.

use super::mode::{Covers, Disk, Guarantee, Mode};

/// `Documentation/admin-guide/ext4.rst` of the kernel: mount options, and the section on data modes.
const EXT4: &str = "Documentation/admin-guide/ext4.rst";
/// The same, for what has data=ordered as it comes.
const FEATURE: &str = "ext4(5); data=ordered: Documentation/admin-guide/ext4.rst";
/// `Documentation/filesystems/ext4/journal.rst` of the kernel.
const JOURNAL: &str = "Documentation/filesystems/ext4/journal.rst (fast commits); fsync(2)";
/// `Documentation/filesystems/ext4/orphan.rst` of the kernel.
const ORPHAN: &str =
    "Documentation/filesystems/ext4/orphan.rst; data=ordered: Documentation/admin-guide/ext4.rst";

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
    says: "metadata may be committed before the data that it points to: after a crash, files that were written shortly \
           before may show what their blocks held before; what was synced is not affected",
    source: "Documentation/admin-guide/ext4.rst; ext4(5), data=writeback; fsync(2)",
};

pub(super) const MODES: &[Mode] = &[
    DEFAULT,
    mounted("ordered", "data=ordered", all(ORDERED, EXT4)),
    mounted("writeback", "data=writeback", UNORDERED),
    mounted(
        "journal",
        "data=journal",
        all(
            "data goes through the journal like metadata; a replay makes both consistent",
            EXT4,
        ),
    ),
    mounted(
        "nodelalloc",
        "nodelalloc",
        all(
            "blocks are allocated when data is copied to the page cache; the order of data and commit stays",
            EXT4,
        ),
    ),
    mounted(
        "dioread_lock",
        "dioread_lock",
        all(
            "extents are not allocated as uninitialised before a buffered write; data=ordered orders data before the \
             commit",
            EXT4,
        ),
    ),
    mounted(
        "noauto_da_alloc",
        "noauto_da_alloc",
        all(
            "files replaced without fsync may be found empty; what was synced is not affected",
            "Documentation/admin-guide/ext4.rst; fsync(2)",
        ),
    ),
    Mode {
        disk: Disk::Battery,
        ..mounted(
            "nobarrier-battery",
            "nobarrier",
            all(
                "barriers may be left out where the disk loses nothing that completed, as with a battery",
                EXT4,
            ),
        )
    },
    mounted(
        "nobarrier",
        "nobarrier",
        Guarantee {
            covers: Covers::Nothing,
            says: "barriers are what makes a volatile write cache safe to use: without them what it held is lost in any \
                   order, metadata included",
            source: EXT4,
        },
    ),
    mounted(
        "journal_checksum",
        "journal_checksum",
        all(
            "transactions carry checksums, by which a recovery finds damaged ones; the order of data and commit stays",
            EXT4,
        ),
    ),
    mounted(
        "journal_async_commit",
        "journal_async_commit",
        all(
            "the commit block may be written without waiting for the descriptor blocks, and the checksum, which comes \
             with it, tells whether they came; kernels refuse it with data=ordered",
            "Documentation/admin-guide/ext4.rst; the refusal: fs/ext4/super.c",
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
            "the running transaction is at most a second old; nothing else changes",
            EXT4,
        ),
    ),
    made(
        "fast_commit",
        &["-O", "fast_commit"],
        all(
            "with data=ordered, only the least that rebuilds the metadata is logged; fsync promises the same",
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
                says: "no journal keeps metadata consistent over a crash. e2fsck -f -y repairs it before the mount, as a \
                       boot does, and what was synced is looked for",
                source: "ext4(5), has_journal; e2fsck(8); fsync(2)",
            },
        )
    },
    made(
        "inline_data",
        &["-O", "inline_data"],
        all(
            "the data of small files is in their inodes; of larger ones, data=ordered orders it before the commit",
            FEATURE,
        ),
    ),
    made(
        "bigalloc",
        &["-O", "bigalloc"],
        all(
            "blocks are allocated in clusters; the order of data and commit stays. ext4(5) warns of bugs, and that it may \
             clash with delayed allocation",
            FEATURE,
        ),
    ),
    made(
        "no-extents",
        &["-O", "^extent,^64bit"],
        all(
            "blocks are mapped as in ext3; the order of data and commit stays",
            FEATURE,
        ),
    ),
    made(
        "1k-blocks",
        &["-b", "1024"],
        all(
            "blocks are smaller than pages; the order of data and commit stays",
            FEATURE,
        ),
    ),
    made(
        "no-metadata_csum",
        &["-O", "^metadata_csum"],
        all(
            "metadata carries no checksums; the order of data and commit stays",
            FEATURE,
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
