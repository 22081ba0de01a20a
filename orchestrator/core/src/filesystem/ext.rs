//! ext4, ext3 and ext2: one driver, one set of tools.

use super::checker::{Checker, Reading, Repair, Repaired};
use super::mkfs::{ConfigFile, Mkfs};
use super::mode::{Covers, Disk, Guarantee, Mode};
use super::options::{MkfsOption, flag, keys, words};
use super::several::{Made, Several};
use super::{Driver, Filesystem, ext4_modes, level, uuid};

const DRIVER: Driver = Driver {
    name: "ext4",
    need: &["ext4"],
    // Without a crc32c driver ext4 does not mount.
    want: &["crc32c_generic"],
    kconfig: include_str!("../../../../images/config/ext4.config"),
    forget: None,
};

/// 2026-01-01.
const TIME: &str = "1767225600";

const MKE2FS: Mkfs = Mkfs {
    program: "mke2fs",
    package: "e2fsprogs",
    options: OPTIONS,
    always: &["-F", "-q", "-t", "ext4"],
    defaults: &[
        ("-U", uuid!()),
        (
            "-E",
            concat!(
                "hash_seed=",
                uuid!(),
                ",lazy_itable_init=0,lazy_journal_init=0,nodiscard"
            ),
        ),
    ],
    // mke2fs heeds only the last -E.
    joined: Some("-E"),
    features: Some("-O"),
    journal: &["-J"],
    geometry: &["-b", "-C", "-E", "-g", "-I", "-i", "-J", "-m", "-N"],
    small: &[
        "-b",
        "4096",
        "-J",
        "size=4",
        "-E",
        "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
    ],
    environment: &[("E2FSPROGS_FAKE_TIME", TIME)],
    config: Some(ConfigFile {
        variable: "MKE2FS_CONFIG",
        text: include_str!("mke2fs.conf"),
    }),
};

/// mke2fs(8). Left out, as each names a file: `-d`, `-l`, `-z`, the journal's `device`, and the operands; `-E offset` and
/// `android_sparse`, which make another file than the disk's; `-c`, `-n`, `-S`, which make no filesystem.
const OPTIONS: &[MkfsOption] = &[
    words(&["-b"]),
    words(&["-C"]),
    words(&["-e"]),
    keys(
        &["-E"],
        &[
            "assume_storage_prezeroed",
            "desc-size",
            "discard",
            "encoding",
            "encoding_flags",
            "hash_seed",
            "lazy_itable_init",
            "lazy_journal_init",
            "mmp_update_interval",
            "no_copy_xattrs",
            "nodiscard",
            "num_backup_sb",
            "orphan_file_size",
            "packed_meta_blocks",
            "quotatype",
            "resize",
            "revision",
            "root_owner",
            "root_perms",
            "root_selinux",
            "stride",
            "stripe-width",
            "stripe_width",
            "test_fs",
        ],
    ),
    words(&["-g"]),
    words(&["-G"]),
    words(&["-i"]),
    words(&["-I"]),
    flag(&["-j"]),
    keys(&["-J"], &["fast_commit_size", "location", "size"]),
    words(&["-L"]),
    words(&["-m"]),
    words(&["-N"]),
    words(&["-o"]),
    words(&["-O"]),
    words(&["-r"]),
    words(&["-T"]),
    words(&["-U"]),
];

const E2FSCK: Checker = Checker {
    program: "e2fsck",
    package: "e2fsprogs",
    arguments: &["-f", "-n"],
    // 4: errors left uncorrected (always so with -n); 8 and above: it could not work (e2fsck(8)).
    reads: |code, _| match code {
        0 => Reading::Sound,
        4 | 12 => Reading::Damaged,
        _ => Reading::Nothing,
    },
    preamble: &["e2fsck ", "Pass "],
};

const REPAIR: Repair = Repair {
    program: "e2fsck",
    package: "e2fsprogs",
    arguments: &["-f", "-y"],
    // 1, 2: errors corrected; 4: errors left; 8 and above: it could not work (e2fsck(8)).
    reads: |code| match code {
        0 => Repaired::Sound,
        1..=3 => Repaired::Mended,
        4..=7 => Repaired::ErrorsLeft,
        _ => Repaired::Nothing,
    },
};

const JOURNAL: Several = Several {
    purpose: "journal",
    most: 1,
    // JBD2_MIN_JOURNAL_BLOCKS, 1024 blocks of 4 KiB, and the superblocks before it.
    min_size: 5 << 20,
    mount: "journal_path",
    made: Made::ExtJournal,
    checker: Some("-j"),
    contradicts: &["-J", "has_journal", "journal_dev", "fast_commit"],
};

pub(super) static EXT4: Filesystem = Filesystem {
    name: "ext4",
    log_names: &["ext4"],
    modes: ext4_modes::MODES,
    ..SHARED
};

pub(super) static EXT3: Filesystem = Filesystem {
    name: "ext3",
    mkfs: Mkfs {
        always: &["-F", "-q", "-t", "ext3"],
        ..MKE2FS
    },
    // The driver of ext4 speaks.
    log_names: &["ext3", "ext4"],
    modes: &[Mode {
        name: "ext3",
        mkfs: &[],
        journal: true,
        mount: "",
        disk: Disk::Any,
        guarantee: Guarantee {
            covers: Covers::All,
            says: "data reaches the disk before the metadata that points to it is committed",
            source: "Documentation/filesystems/ext3.rst: the driver of ext4 serves it; data=ordered: \
                     Documentation/admin-guide/ext4.rst",
        },
    }],
    ..SHARED
};

pub(super) static EXT2: Filesystem = Filesystem {
    name: "ext2",
    // Room for the metadata and some data.
    min_size: 1 << 20,
    mkfs: Mkfs {
        always: &["-F", "-q", "-t", "ext2"],
        small: &["-b", "4096"],
        ..MKE2FS
    },
    several: None,
    jbd2: false,
    copies_data: true,
    log_names: &["ext2", "ext4"],
    level: |made| level::ext4(made, false),
    modes: &[Mode {
        name: "ext2",
        mkfs: &[],
        journal: false,
        mount: "",
        disk: Disk::Any,
        guarantee: Guarantee {
            covers: Covers::NotFreshBlocks,
            says: "no journal keeps metadata consistent over a crash: e2fsck -f -y repairs it before the mount, as a \
                   boot does. What was synced is on the disk",
            source: "Documentation/filesystems/ext2.rst (Journaling); e2fsck(8); fsync(2)",
        },
    }],
    ..SHARED
};

/// What the three share.
const SHARED: Filesystem = Filesystem {
    name: "",
    driver: &DRIVER,
    // mke2fs makes no journal below 2048 blocks (`ext2fs_default_journal_size`), 8 MiB with 4 KiB blocks.
    min_size: 8 << 20,
    mkfs: MKE2FS,
    checker: E2FSCK,
    repair: Some(REPAIR),
    several: Some(JOURNAL),
    jbd2: true,
    copies_data: true,
    log_names: &[],
    level: |made| level::ext4(made, true),
    modes: &[],
};
