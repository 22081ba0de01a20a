//! xfs.

use super::checker::{Checker, Reading};
use super::mkfs::Mkfs;
use super::mode::{Covers, Disk, Guarantee, Mode};
use super::options::{MkfsOption, keys, words};
use super::several::{Made, Several};
use super::{Driver, Filesystem, level, uuid};

pub(super) static XFS: Filesystem = Filesystem {
    name: "xfs",
    driver: &Driver {
        name: "xfs",
        need: &["xfs"],
        want: &["crc32c_generic"],
        kconfig: include_str!("../../../../images/config/xfs.config"),
        forget: None,
    },
    // mkfs.xfs(8) refuses less since xfsprogs 5.19. (--unsupported makes smaller ones, for tests of xfs itself, with
    // shapes that no user has.) The file is sparse; the log takes 64 MiB of it.
    min_size: 300 << 20,
    mkfs: Mkfs {
        program: "mkfs.xfs",
        package: "xfsprogs",
        options: OPTIONS,
        always: &["-f", "-q", "-K"],
        defaults: &[
            ("-m", concat!("uuid=", uuid!())),
            // On by default since xfsprogs 6.5; kernels mount it since 5.19 (mkfs.xfs(8), "nrext64"). All else that
            // mkfs.xfs of Debian 12 and 13 turns on (crc, finobt, sparse inodes, rmapbt, reflink, inobtcount, bigtime)
            // is mounted by 5.10. Where a later one turns on more, an old kernel refuses the first mount, and says so.
            ("-i", "nrext64=0"),
        ],
        joined: None,
        features: None,
        journal: &[],
        geometry: &["-b", "-d", "-l", "-s"],
        small: &[],
        environment: &[],
        config: None,
    },
    checker: Checker {
        program: "xfs_repair",
        package: "xfsprogs",
        arguments: &["-n", "-f"],
        // 1: corruption found with -n; 2: the log is dirty, and it did not look (xfs_repair(8)). 1 as well where it could
        // not begin.
        reads: |code, output| match code {
            0 => Reading::Sound,
            1 if output.contains("Phase 1") => Reading::Damaged,
            _ => Reading::Nothing,
        },
        preamble: &[
            "Phase ",
            "- ",
            "Cannot get host filesystem geometry.",
            "Repair may fail if there is a sector size mismatch between",
            "the image and the host filesystem.",
            "No modify flag set",
        ],
    },
    repair: None,
    several: Some(Several {
        purpose: "log",
        most: 1,
        // mkfs.xfs(8), `-l size`: 512 blocks at least, and with the reservations of its own defaults more.
        min_size: 64 << 20,
        mount: "logdev",
        made: Made::Option("-l", "logdev="),
        checker: Some("-l"),
        contradicts: &["internal", "logdev"],
    }),
    jbd2: false,
    copies_data: true,
    log_names: &["xfs"],
    level: level::xfs,
    modes: &[DEFAULT],
};

/// mkfs.xfs(8). Left out, as each names a file: `-c`, `-p`, the log's `logdev`, `-r` with its `rtdev`, `file` and `name`
/// everywhere, and the operand.
const OPTIONS: &[MkfsOption] = &[
    keys(&["-b"], &["log", "size"]),
    keys(
        &["-d"],
        &[
            "agcount",
            "agsize",
            "concurrency",
            "cowextsize",
            "daxinherit",
            "extszinherit",
            "noalign",
            "projinherit",
            "rtinherit",
            "sectlog",
            "sectsize",
            "size",
            "su",
            "sunit",
            "sw",
            "swidth",
            "unwritten",
        ],
    ),
    keys(
        &["-i"],
        &[
            "align",
            "attr",
            "exchange",
            "log",
            "maxpct",
            "nrext64",
            "perblock",
            "projid32bit",
            "size",
            "sparse",
        ],
    ),
    keys(
        &["-l"],
        &[
            "agnum",
            "concurrency",
            "internal",
            "lazy-count",
            "sectlog",
            "sectsize",
            "size",
            "su",
            "sunit",
            "version",
        ],
    ),
    words(&["-L"]),
    keys(
        &["-m"],
        &[
            "autofsck",
            "bigtime",
            "crc",
            "finobt",
            "gquota",
            "inobtcount",
            "metadir",
            "pquota",
            "reflink",
            "rmapbt",
            "uquota",
            "uuid",
        ],
    ),
    keys(&["-n"], &["ftype", "log", "parent", "size", "version"]),
    keys(&["-s"], &["log", "size"]),
];

const DEFAULT: Mode = Mode {
    name: "xfs",
    mkfs: &[],
    journal: true,
    mount: "",
    disk: Disk::Any,
    guarantee: Guarantee {
        covers: Covers::All,
        says: "metadata goes through the log in order; fsync of a new file makes its name durable",
        source: "fsync(2); Documentation/filesystems/xfs/xfs-delayed-logging-design.rst; names: \
                 Documentation/filesystems/f2fs.rst (fsync_mode: \"in line with xfs, ext4 and btrfs\"), fstests \
                 generic/342",
    },
};
