//! Configuration fragments: what a kernel of one's own is built with, and whether a tree could give it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use coldcut_core::filesystem::{ALL, FsType};

/// What every guest needs.
const GUEST: &str = include_str!("../../../images/config/guest.config");
/// What filesystems need that are never under test.
const OTHERS: [(&str, &str); 1] = [("vfat", include_str!("../../../images/config/vfat.config"))];

/// What each filesystem needs besides: its driver's name, and settings.
fn fragments() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    let tested = ALL.iter().map(|fs| (fs.driver.name, fs.driver.kconfig));
    for fragment in tested.chain(OTHERS) {
        if !all.contains(&fragment) {
            all.push(fragment);
        }
    }
    all
}

/// A fragment that cannot be used, or that a tree did not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// No such filesystem.
    #[error(
        "there is no fragment for `{0}`; there are {1}; others go into a fragment of your own (--config)"
    )]
    Filesystem(String, String),
    /// A line that is none.
    #[error(
        "{file}, line {line}: `{text}` is no setting; expected CONFIG_NAME=VALUE or `# CONFIG_NAME is not set`"
    )]
    Line {
        /// The fragment.
        file: String,
        /// From 1.
        line: usize,
        /// What it says.
        text: String,
    },
    /// The tree's configuration came out otherwise.
    #[error("this tree does not take {}: an option is not in this version, or needs another one{}", list(.0), hint(.0))]
    NotTaken(Vec<String>),
}

fn list(settings: &[String]) -> String {
    settings.join(", ")
}

fn hint(settings: &[String]) -> &'static str {
    if settings.iter().any(|s| s.ends_with("=m")) {
        " (modules are off: everything is built in)"
    } else {
        ""
    }
}

/// Settings by name; `None` is "is not set".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    settings: BTreeMap<String, Option<String>>,
}

impl Fragment {
    /// What a guest with these filesystems needs.
    ///
    /// # Errors
    /// [`FragmentError::Filesystem`].
    pub fn guest(filesystems: &[String]) -> Result<Self, FragmentError> {
        let mut fragment = Self::parse("guest.config", GUEST)?;
        for wanted in filesystems {
            let name = FsType::named(wanted).map_or(wanted.as_str(), |fs| fs.driver.name);
            let all = fragments();
            let Some((name, text)) = all.iter().find(|(known, _)| *known == name) else {
                let known: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
                return Err(FragmentError::Filesystem(wanted.clone(), known.join(", ")));
            };
            fragment.add(Self::parse(&format!("{name}.config"), text)?);
        }
        Ok(fragment)
    }

    /// Reads a fragment as kconfig writes it.
    ///
    /// # Errors
    /// [`FragmentError::Line`].
    pub fn parse(file: &str, text: &str) -> Result<Self, FragmentError> {
        let mut fragment = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let unset = line
                .strip_prefix("# CONFIG_")
                .and_then(|l| l.strip_suffix(" is not set"));
            let set = line.strip_prefix("CONFIG_").and_then(|l| l.split_once('='));
            let (name, value) = match (unset, set) {
                (Some(name), _) | (None, Some((name, "n"))) => (name, None),
                (None, Some((name, value))) => (name, Some(value.to_owned())),
                _ if line.is_empty() || line.starts_with('#') => continue,
                _ => ("", None),
            };
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(FragmentError::Line {
                    file: file.to_owned(),
                    line: number + 1,
                    text: line.to_owned(),
                });
            }
            fragment.settings.insert(name.to_owned(), value);
        }
        Ok(fragment)
    }

    /// Adds another's settings; they have the last word.
    pub fn add(&mut self, other: Self) {
        self.settings.extend(other.settings);
    }

    /// As text that can be appended to a `.config`: of two settings of an option kconfig takes the later.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.settings {
            let _ = match value {
                Some(value) => writeln!(text, "CONFIG_{name}={value}"),
                None => writeln!(text, "# CONFIG_{name} is not set"),
            };
        }
        text
    }

    /// Whether a finished `.config` has all of it.
    ///
    /// # Errors
    /// [`FragmentError::NotTaken`] with what it lacks.
    pub fn check(&self, config: &str) -> Result<(), FragmentError> {
        let got: BTreeMap<&str, &str> = config
            .lines()
            .filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('='))
            .collect();
        let missing: Vec<String> = self
            .settings
            .iter()
            .filter(|(name, value)| got.get(name.as_str()).copied() != value.as_deref())
            .map(|(name, value)| format!("CONFIG_{name}={}", value.as_deref().unwrap_or("n")))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(FragmentError::NotTaken(missing))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fragments_are_valid_and_everything_is_built_in() {
        let all: Vec<String> = fragments().iter().map(|(name, _)| (*name).to_owned()).collect();
        let fragment = Fragment::guest(&all).unwrap();
        assert!(fragment.settings.values().flatten().all(|value| value == "y"));
        assert_eq!(fragment.settings.get("MODULES"), Some(&None));
        for needed in [
            "VIRTIO_BLK",
            "VIRTIO_CONSOLE",
            "VIRTIO_PCI",
            "DEVTMPFS",
            "EXT4_FS",
            "BTRFS_FS",
        ] {
            assert!(fragment.settings.contains_key(needed), "{needed}");
        }
        let error = Fragment::guest(&["zfs".into()]).unwrap_err().to_string();
        assert!(error.contains("`zfs`") && error.contains("ext4, xfs"), "{error}");
    }

    #[test]
    fn the_last_word_counts_and_what_is_not_taken_is_named() {
        let mut fragment =
            Fragment::parse("a", "# words\nCONFIG_A=y\nCONFIG_B=n\n\nCONFIG_S=\"x y\"\n").unwrap();
        fragment.add(Fragment::parse("b", "# CONFIG_A is not set\nCONFIG_C=m\n").unwrap());
        assert_eq!(
            fragment.text(),
            "# CONFIG_A is not set\n# CONFIG_B is not set\nCONFIG_C=m\nCONFIG_S=\"x y\"\n"
        );
        let config = "CONFIG_S=\"x y\"\nCONFIG_C=m\n# CONFIG_A is not set\n";
        assert_eq!(
            fragment.check(config),
            Ok(()),
            "what a .config does not name is not set"
        );
        let error = fragment
            .check("CONFIG_A=y\nCONFIG_C=y\nCONFIG_S=\"x y\"\n")
            .unwrap_err();
        assert_eq!(
            error,
            FragmentError::NotTaken(vec!["CONFIG_A=n".into(), "CONFIG_C=m".into()])
        );
        assert!(error.to_string().contains("modules are off"), "{error}");
        for bad in ["CONFIG_A", "A=y", "CONFIG_=y", "CONFIG_A B=y"] {
            assert!(
                matches!(
                    Fragment::parse("f", bad),
                    Err(FragmentError::Line { line: 1, .. })
                ),
                "{bad}"
            );
        }
    }
}
