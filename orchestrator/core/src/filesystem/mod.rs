//! All that is known of each filesystem: one file for each, and the list of them.
//!
//! What is here is data. The host's side runs the tools that are named (`coldcut::fs`), the kernel store keeps the
//! modules, scenarios take the types, the oracle asks how a checker and the kernel's log are read. A filesystem is added
//! by its file, its line in [`ALL`], and its test.

mod btrfs;
mod checker;
mod ext;
mod ext4_modes;
mod f2fs;
mod fstype;
mod level;
mod mkfs;
mod mode;
mod options;
mod rule;
mod several;
mod xfs;

use coldcut_wire::Forget;

pub use checker::{Checker, Reading, Repair, Repaired};
pub use fstype::FsType;
pub use level::{Configuration, Kept, Level};
pub use mkfs::{ConfigFile, Mkfs};
pub use mode::{Covers, Disk, Guarantee, Mode};
pub use options::{MkfsOption, RefusedOption, Takes};
pub use rule::Rule;
pub use several::{Made, Several};

/// Every filesystem that can be under test; the first is the default.
pub static ALL: [&Filesystem; 6] = [
    &ext::EXT4,
    &ext::EXT3,
    &ext::EXT2,
    &xfs::XFS,
    &btrfs::BTRFS,
    &f2fs::F2FS,
];

/// What is known of a filesystem.
#[derive(Debug)]
pub struct Filesystem {
    /// As mount(8) names it.
    pub name: &'static str,
    /// What mounts it.
    pub driver: &'static Driver,
    /// The smallest disk that scenarios may ask for, in bytes.
    pub min_size: u64,
    /// What makes it.
    pub mkfs: Mkfs,
    /// What judges it, once it is unmounted.
    pub checker: Checker,
    /// What repairs it after a power cut and before it is mounted, where a boot does so. Others recover by themselves
    /// when they are mounted.
    pub repair: Option<Repair>,
    /// What it does with more than one disk, if anything.
    pub several: Option<Several>,
    /// Whether it has a jbd2 journal, for whose commits `commit` waits.
    pub jbd2: bool,
    /// Whether file data that is read is only copied, from the place on the disk that FIEMAP names: it is neither checked
    /// nor decoded, and nothing that the kernel does depends on it.
    pub copies_data: bool,
    /// Words by which the kernel's log names it, in lower case; any of them.
    pub log_names: &'static [&'static str],
    /// What it promises after a power cut, as it is made and mounted.
    pub level: fn(&Configuration<'_>) -> &'static Level,
    /// The ways to make and mount it, and what each promises; the first is how it comes.
    pub modes: &'static [Mode],
}

/// What in a kernel mounts a filesystem.
#[derive(Debug)]
pub struct Driver {
    /// Its name. The kernel store keeps its modules as the set `fs:NAME`.
    pub name: &'static str,
    /// Modules that it needs.
    pub need: &'static [&'static str],
    /// Modules to load first where the kernel has them as modules: nothing in the guest answers the kernel's own
    /// requests.
    pub want: &'static [&'static str],
    /// Settings with which a kernel of one's own is built.
    pub kconfig: &'static str,
    /// What it remembers of a device that was unmounted, and must forget before a guest mounts another disk under the
    /// same name.
    pub forget: Option<Forget>,
}

impl Driver {
    /// Its set of modules in the kernel store.
    pub fn set(&self) -> String {
        format!("fs:{}", self.name)
    }
}

impl Filesystem {
    /// The mode with this name.
    pub fn mode(&self, name: &str) -> Option<&'static Mode> {
        self.modes.iter().find(|mode| mode.name == name)
    }
}

/// The mode with this name, and its filesystem. Names of modes are unique.
pub fn mode(name: &str) -> Option<(FsType, &'static Mode)> {
    FsType::all().find_map(|fstype| Some((fstype, fstype.mode(name)?)))
}

/// Lists the filesystems that meet a condition, as in a sentence: `ext3 and ext4`.
pub fn listed(which: impl Fn(&Filesystem) -> bool) -> String {
    let mut names: Vec<&str> = ALL.iter().filter(|fs| which(fs)).map(|fs| fs.name).collect();
    names.sort_unstable();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Whether a line of the kernel's log is about a filesystem of this type, which may be none of [`ALL`].
pub fn is_about(line: &str, fstype: &str) -> bool {
    let line = line.to_lowercase();
    match FsType::named(fstype) {
        Some(known) => known.log_names.iter().any(|name| line.contains(name)),
        None => line.contains(fstype),
    }
}

/// The UUID of every filesystem that is made, where its mkfs takes one.
macro_rules! uuid {
    () => {
        "c01dc07c-c01d-4c01-8c01-c01dc07c01dc"
    };
}
use uuid;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let types: BTreeSet<&str> = ALL.iter().map(|fs| fs.name).collect();
        assert_eq!(types.len(), ALL.len());
        let modes: Vec<&str> = ALL.iter().flat_map(|fs| fs.modes).map(|mode| mode.name).collect();
        assert_eq!(modes.iter().collect::<BTreeSet<_>>().len(), modes.len());
    }

    #[test]
    fn each_is_complete() {
        for fs in ALL {
            let default = fs.modes.first().unwrap();
            assert!(default.mkfs.is_empty() && default.mount.is_empty(), "{}", fs.name);
            for mode in fs.modes {
                let file_name = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
                assert!(mode.name.chars().all(file_name), "{}", mode.name);
                assert!(!mode.guarantee.says.is_empty() && !mode.guarantee.source.is_empty());
                // What has no journal is not consistent unless it is repaired.
                assert!(mode.journal || fs.repair.is_some(), "{}", mode.name);
            }
            assert!(fs.log_names.iter().all(|name| *name == name.to_lowercase()));
            assert!(!fs.driver.need.is_empty() && fs.driver.kconfig.contains("CONFIG_"));
            assert!(fs.min_size.is_multiple_of(4096));
        }
    }

    #[test]
    fn set_up_installs_their_tools() {
        let setup = include_str!("../../../../scripts/setup");
        for fs in ALL {
            let tools = [
                (fs.mkfs.program, fs.mkfs.package),
                (fs.checker.program, fs.checker.package),
            ];
            for (program, package) in tools {
                let line = format!("\nneed {program} {package}\n");
                assert!(setup.contains(&line), "{line}");
            }
        }
    }

    #[test]
    fn the_kernel_names_them() {
        assert!(is_about("EXT4-fs (vda): mounted filesystem", "ext2"));
        assert!(is_about("XFS (vda): Ending clean mount", "xfs"));
        assert!(is_about("F2FS-fs (vda): Mounted", "f2fs"));
        assert!(is_about("BTRFS info (device vda): using crc32c", "btrfs"));
        assert!(is_about("tmpfs: Unknown parameter", "tmpfs"));
        assert!(!is_about("XFS (vda): Ending clean mount", "ext4"));
    }
}
