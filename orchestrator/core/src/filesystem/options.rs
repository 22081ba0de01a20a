//! The options of a mkfs that a scenario may give: an allow-list, so that none of them names a file or a device.
//!
//! mkfs runs on the host, and as whoever runs coldcut. An operand would be formatted in the disk's place (`mke2fs FILE -M`),
//! and options such as `-z FILE` (mke2fs(8)), `-p FILE` (mkfs.xfs(8)), `--rootdir DIR` (mkfs.btrfs(8)) and `-c DEVICE`
//! (mkfs.f2fs(8)) write, read or format what they name. What is not listed is refused.

use super::mkfs::Mkfs;

/// An option that a scenario may give.
#[derive(Debug)]
pub struct MkfsOption {
    /// How it is written: `-b`, or `-d` and `--data`.
    pub names: &'static [&'static str],
    /// What follows it.
    pub takes: Takes,
}

/// What follows an option.
#[derive(Debug)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// A number, a word, or several that commas separate. None is a path.
    Words,
    /// These keys, separated by commas, each with a value or without.
    Keys(&'static [&'static str]),
}

/// Why an option of a scenario is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedOption {
    /// A word where an option is expected.
    #[error("`{word}` is no option of {program}: coldcut names the disk itself")]
    Operand {
        /// The word.
        word: String,
        /// mkfs.
        program: &'static str,
    },
    /// An option that is not listed.
    #[error("`{option}` is not among the options of {program} that a scenario may give")]
    Option {
        /// The option.
        option: String,
        /// mkfs.
        program: &'static str,
    },
    /// A key that is not listed.
    #[error("`{key}` is not among what a scenario may give to `{option}` of {program}")]
    Key {
        /// The key.
        key: String,
        /// The option.
        option: &'static str,
        /// mkfs.
        program: &'static str,
        /// The keys that it may give.
        keys: &'static [&'static str],
    },
    /// A value that is no word, or none.
    #[error("expected a value for `{option}` of {program}: letters, digits and any of `{PUNCTUATION}`")]
    Value {
        /// The option.
        option: &'static str,
        /// mkfs.
        program: &'static str,
    },
}

/// What words may have beside letters and digits. A slash is not among it.
const PUNCTUATION: &str = "_.,:=^+-% ";

impl RefusedOption {
    /// What may stand in its place.
    pub fn valid(&self, mkfs: &Mkfs) -> Vec<&'static str> {
        match self {
            Self::Operand { .. } | Self::Option { .. } => {
                let options = mkfs.options.iter();
                options.flat_map(|option| option.names).copied().collect()
            }
            Self::Key { keys, .. } => keys.to_vec(),
            Self::Value { .. } => Vec::new(),
        }
    }
}

impl Mkfs {
    /// Looks whether a scenario may give these options.
    ///
    /// # Errors
    /// [`RefusedOption`]: the first that it may not.
    pub fn check(&self, options: &[String]) -> Result<(), RefusedOption> {
        let program = self.program;
        let mut words = options.iter().map(String::as_str);
        while let Some(word) = words.next() {
            if !word.starts_with('-') {
                let word = word.to_owned();
                return Err(RefusedOption::Operand { word, program });
            }
            let found = self.options.iter().find_map(|option| option.written(word));
            let (name, option, attached) = found.ok_or_else(|| RefusedOption::Option {
                option: word.to_owned(),
                program,
            })?;
            let value = match (&option.takes, attached) {
                (Takes::Nothing, _) => continue,
                (Takes::Words | Takes::Keys(_), Some(value)) => Some(value),
                (Takes::Words | Takes::Keys(_), None) => words.next(),
            };
            let value = value.filter(|value| is_word(value)).ok_or(RefusedOption::Value {
                option: name,
                program,
            })?;
            if let Takes::Keys(keys) = option.takes
                && let Some(key) = value.split(',').map(key).find(|key| !keys.contains(key))
            {
                return Err(RefusedOption::Key {
                    key: key.to_owned(),
                    option: name,
                    program,
                    keys,
                });
            }
        }
        Ok(())
    }
}

impl MkfsOption {
    /// The name by which a word gives this option, and the value that is attached to it, as getopt_long(3) reads it:
    /// `-b4096`, `--data=raid1`.
    fn written<'w>(&self, word: &'w str) -> Option<(&'static str, &Self, Option<&'w str>)> {
        self.names.iter().find_map(|name| {
            let rest = word.strip_prefix(name)?;
            let attached = match (&self.takes, rest) {
                (_, "") => None,
                (Takes::Nothing, _) => return None,
                (Takes::Words | Takes::Keys(_), rest) if name.starts_with("--") => {
                    Some(rest.strip_prefix('=')?)
                }
                (Takes::Words | Takes::Keys(_), rest) => Some(rest),
            };
            Some((*name, self, attached))
        })
    }
}

/// The key of `KEY=VALUE`, or of a key alone.
fn key(word: &str) -> &str {
    word.split_once('=').map_or(word, |(key, _)| key)
}

fn is_word(value: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c);
    !value.is_empty() && !value.starts_with('-') && value.chars().all(fits)
}

/// An option that takes words.
pub(super) const fn words(names: &'static [&'static str]) -> MkfsOption {
    let takes = Takes::Words;
    MkfsOption { names, takes }
}

/// An option that takes nothing.
pub(super) const fn flag(names: &'static [&'static str]) -> MkfsOption {
    let takes = Takes::Nothing;
    MkfsOption { names, takes }
}

/// An option that takes these keys.
pub(super) const fn keys(names: &'static [&'static str], keys: &'static [&'static str]) -> MkfsOption {
    let takes = Takes::Keys(keys);
    MkfsOption { names, takes }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filesystem::{ALL, FsType};

    fn check(fstype: &str, options: &[&str]) -> Result<(), RefusedOption> {
        let options: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
        FsType::named(fstype).unwrap().mkfs.check(&options)
    }

    #[test]
    fn files_and_devices_are_refused() {
        for (fstype, options) in [
            ("ext4", &["/some/file", "-M"][..]),
            ("ext4", &["-M", "/some/file"]),
            ("ext4", &["-z", "undo"]),
            ("ext4", &["-zundo"]),
            // getopt(3) takes flags together.
            ("ext4", &["-vz", "undo"]),
            ("ext4", &["-d", "/etc"]),
            ("ext4", &["-l", "blocks"]),
            ("ext4", &["-J", "size=4,device=x"]),
            ("ext4", &["-J", "device=x"]),
            ("ext4", &["-E", "android_sparse"]),
            ("ext4", &["-L", "../x"]),
            ("ext4", &["-b", "4096", "16M"]),
            ("ext4", &["-b"]),
            ("ext4", &["--", "file"]),
            ("ext4", &[""]),
            ("ext3", &["-z", "undo"]),
            ("ext2", &["-z", "undo"]),
            ("xfs", &["-d", "name=x"]),
            ("xfs", &["-d", "agcount=4,name=x"]),
            ("xfs", &["-l", "logdev=x"]),
            ("xfs", &["-r", "rtdev=x"]),
            ("xfs", &["-p", "proto"]),
            ("xfs", &["-c", "options=x"]),
            ("btrfs", &["--rootdir", "/etc"]),
            ("btrfs", &["--rootdir=etc"]),
            // getopt_long(3) takes any beginning that is not ambiguous.
            ("btrfs", &["--rootd", "x"]),
            ("btrfs", &["-r", "x"]),
            ("f2fs", &["-c", "x"]),
            ("f2fs", &["-S"]),
        ] {
            assert!(check(fstype, options).is_err(), "{fstype} {options:?}");
        }
    }

    #[test]
    fn what_shapes_a_filesystem_is_taken() {
        for (fstype, options) in [
            ("ext4", &["-b4096", "-m", "0", "-O", "^extent,^64bit"][..]),
            ("ext4", &["-L", "two words", "-I", "256", "-E", "root_owner=1:1"]),
            ("xfs", &["-m", "crc=1,reflink=0", "-l", "size=64m,version=2"]),
            ("btrfs", &["--data=raid1", "-m", "raid1", "--csum", "xxhash"]),
            ("f2fs", &["-O", "extra_attr,compression", "-w4096"]),
        ] {
            check(fstype, options).unwrap();
        }
    }

    #[test]
    fn coldcut_gives_what_a_scenario_may_give() {
        for fs in ALL {
            let modes = fs.modes.iter().map(|mode| mode.mkfs);
            for own in modes.chain([fs.mkfs.small]) {
                check(fs.name, own).unwrap();
            }
            for (option, value) in fs.mkfs.defaults {
                check(fs.name, &[option, value]).unwrap();
            }
            for option in fs.mkfs.geometry.iter().chain(fs.mkfs.journal) {
                let known = fs.mkfs.options.iter().any(|known| known.names.contains(option));
                assert!(known, "{} {option}", fs.name);
            }
        }
    }

    proptest! {
        /// Whatever is taken, no word of it is an operand or a path.
        #[test]
        fn nothing_that_is_taken_names_a_file(
            fs in 0..ALL.len(),
            options in prop::collection::vec("(-{0,2}[a-zA-Z]{0,2}|[a-z/.=,]{0,6})", 0..6),
        ) {
            let mkfs = &ALL[fs].mkfs;
            if mkfs.check(&options).is_ok() {
                prop_assert!(options.iter().all(|word| !word.contains('/')));
                prop_assert!(options.first().is_none_or(|word| word.starts_with('-')));
            }
        }
    }
}
