//! f2fs. Of Debian's kernels only the full build has it.

use super::checker::{Checker, Reading};
use super::mkfs::Mkfs;
use super::mode::{Covers, Disk, Guarantee, Mode};
use super::options::{MkfsOption, flag, words};
use super::{Driver, Filesystem, level};

pub(super) static F2FS: Filesystem = Filesystem {
    name: "f2fs",
    driver: &Driver {
        name: "f2fs",
        need: &["f2fs"],
        want: &["crc32_generic"],
        kconfig: include_str!("../../../../images/config/f2fs.config"),
        forget: None,
    },
    // Room for the metadata and some data.
    min_size: 64 << 20,
    mkfs: Mkfs {
        program: "mkfs.f2fs",
        package: "f2fs-tools",
        // Without discards. It takes no UUID in Debian 12.
        options: OPTIONS,
        always: &["-f", "-q", "-t", "0"],
        defaults: &[],
        joined: None,
        features: Some("-O"),
        journal: &[],
        geometry: &["-s", "-o"],
        small: &[],
        environment: &[],
        config: None,
    },
    checker: Checker {
        program: "fsck.f2fs",
        package: "f2fs-tools",
        arguments: &["--dry-run"],
        // fsck.f2fs(8) says 0 or -1. Seen with 1.15: 4 (errors left uncorrected) or 255 where something is wrong, and 255
        // as well where it could not begin, before any of its checks, each of which says [FSCK].
        reads: |code, output| match code {
            0 if output.contains("[Fail]") => Reading::Damaged,
            0 => Reading::Sound,
            4 => Reading::Damaged,
            255 if output.contains("[FSCK]") => Reading::Damaged,
            _ => Reading::Nothing,
        },
        preamble: &["Info: ", "\tInfo: "],
    },
    repair: None,
    several: None,
    jbd2: false,
    copies_data: false,
    log_names: &["f2fs"],
    level: level::f2fs,
    modes: MODES,
};

/// mkfs.f2fs(8). Left out: `-c`, which names devices; `-S`, which makes another file than the disk's; and the operands.
const OPTIONS: &[MkfsOption] = &[
    words(&["-a"]),
    words(&["-C"]),
    words(&["-d"]),
    words(&["-e"]),
    words(&["-E"]),
    words(&["-g"]),
    flag(&["-i"]),
    words(&["-l"]),
    words(&["-o"]),
    words(&["-O"]),
    flag(&["-r"]),
    words(&["-R"]),
    words(&["-s"]),
    words(&["-T"]),
    words(&["-U"]),
    words(&["-w"]),
    words(&["-z"]),
];

const DEFAULT: Mode = Mode {
    name: "f2fs",
    mkfs: &[],
    journal: true,
    mount: "",
    disk: Disk::Any,
    guarantee: Guarantee {
        covers: Covers::Posix,
        says: "fsync_mode=posix: fsync makes a file's data durable, and names by fsync of their directory",
        source: "Documentation/filesystems/f2fs.rst, fsync_mode",
    },
};

const MODES: &[Mode] = &[
    DEFAULT,
    Mode {
        name: "f2fs-strict",
        mount: "fsync_mode=strict",
        guarantee: Guarantee {
            covers: Covers::All,
            says: "fsync behaves as on xfs, ext4 and btrfs: with a new file its name is durable",
            source: "Documentation/filesystems/f2fs.rst, fsync_mode; fstests generic/342",
        },
        ..DEFAULT
    },
    Mode {
        name: "f2fs-nobarrier",
        mount: "fsync_mode=nobarrier",
        guarantee: Guarantee {
            covers: Covers::Nothing,
            says: "as posix, but without flushes: a volatile write cache may lose what was synced",
            source: "Documentation/filesystems/f2fs.rst, fsync_mode",
        },
        ..DEFAULT
    },
];
