//! btrfs.
//!
//! It remembers every device that it has seen, and of which generation: a guest that mounts one state after another has
//! it forget them in between.

use coldcut_wire::Forget;

use super::checker::{Checker, Reading};
use super::mkfs::Mkfs;
use super::mode::{Covers, Disk, Guarantee, Mode};
use super::options::{MkfsOption, flag, words};
use super::several::{Made, Several};
use super::{Driver, Filesystem, level, uuid};

pub(super) static BTRFS: Filesystem = Filesystem {
    name: "btrfs",
    driver: &Driver {
        name: "btrfs",
        need: &["btrfs"],
        want: &[
            "crc32c_generic",
            "xxhash_generic",
            "sha256_generic",
            "blake2b_generic",
        ],
        kconfig: include_str!("../../../../images/config/btrfs.config"),
        forget: Some(Forget::BtrfsDevices),
    },
    // What mkfs.btrfs asks for with its defaults, 114294784 bytes: data and metadata apart, metadata twice. Smaller ones
    // need --mixed, which puts both into the same block groups, as nobody uses it.
    min_size: 109 << 20,
    mkfs: Mkfs {
        program: "mkfs.btrfs",
        package: "btrfs-progs",
        options: OPTIONS,
        always: &["-f", "-q", "-K"],
        // What mkfs.btrfs of Debian 12 and 13 turns on (extref, skinny-metadata, no-holes, free-space-tree) is mounted by
        // kernels from 4.9 on (`mkfs.btrfs -O list-all`).
        defaults: &[("-U", uuid!())],
        joined: None,
        features: Some("-O"),
        journal: &[],
        geometry: &["-b", "-n", "-s"],
        small: &[],
        environment: &[],
        config: None,
    },
    checker: Checker {
        program: "btrfs",
        package: "btrfs-progs",
        arguments: &["check", "--readonly"],
        // 1 when something is wrong, and as well where it could not begin (btrfs-check(8): non-zero). A tree that it has
        // to read first and cannot is damage: "checksum verify failed", "parent transid verify failed".
        reads: |code, output| match code {
            0 => Reading::Sound,
            1 if ["Checking filesystem", "verify failed"]
                .iter()
                .any(|words| output.contains(words)) =>
            {
                Reading::Damaged
            }
            _ => Reading::Nothing,
        },
        preamble: &[
            "Opening filesystem to check...",
            "Checking filesystem on ",
            "UUID: ",
            "[",
        ],
    },
    repair: None,
    several: Some(Several {
        purpose: "member",
        most: 7,
        // What mkfs.btrfs asks of each for raid1, 131072000 bytes; other profiles may do with less.
        min_size: 125 << 20,
        mount: "device",
        made: Made::Named,
        // It looks for the others among the host's block devices.
        checker: None,
        contradicts: &[],
    }),
    jbd2: false,
    copies_data: false,
    log_names: &["btrfs"],
    level: level::btrfs,
    modes: &[DEFAULT],
};

/// mkfs.btrfs(8). Left out, as each names a file or depends on one: `-r`, `--rootdir`, `--subvol`, `--inode-flags`,
/// `--shrink`, `--compress`, `--reflink`, and the operands.
const OPTIONS: &[MkfsOption] = &[
    words(&["-b", "--byte-count"]),
    words(&["--csum", "--checksum"]),
    words(&["-d", "--data"]),
    words(&["--device-uuid"]),
    words(&["-L", "--label"]),
    words(&["-m", "--metadata"]),
    flag(&["-M", "--mixed"]),
    words(&["-n", "--nodesize"]),
    words(&["-O", "--features"]),
    words(&["-R", "--runtime-features"]),
    words(&["-s", "--sectorsize"]),
    words(&["-U", "--uuid"]),
];

const DEFAULT: Mode = Mode {
    name: "btrfs",
    mkfs: &[],
    journal: true,
    mount: "",
    disk: Disk::Any,
    guarantee: Guarantee {
        covers: Covers::All,
        says: "copy on write: a transaction is on the disk as a whole or not at all, and data before the metadata that \
               points to it; fsync makes a file durable at once, with the name of a new file, through the log tree",
        source: "btrfs(5); fsync(2); names: Documentation/filesystems/f2fs.rst (fsync_mode: \"in line with xfs, ext4 \
                 and btrfs\"), fstests generic/342",
    },
};
