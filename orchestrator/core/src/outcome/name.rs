//! Names of files and directories in a run's directory.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name that a file or a directory of a run can have: a cell's id, a scenario's name, a run's id. It is one component of a
/// path and never `.` or `..`, so that nothing that is joined with it is outside of the directory, wherever it was read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(String);

/// The longest name, in bytes (`NAME_MAX`).
const LONGEST: usize = 255;

/// A text that is no [`FileName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be the name of a file: expected 1 to {LONGEST} printable characters of ASCII, none of them a slash"
)]
pub struct NoFileName(pub String);

impl FileName {
    /// Takes a text that is such a name.
    ///
    /// # Errors
    /// [`NoFileName`].
    pub fn new(text: impl Into<String>) -> Result<Self, NoFileName> {
        let text = text.into();
        let printable = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b'\\';
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(printable);
        if fits && text != "." && text != ".." {
            Ok(Self(text))
        } else {
            Err(NoFileName(text))
        }
    }

    /// Makes a name of any text: what is neither a letter, a digit nor any of `._+-` becomes `_`. Texts may share a name, and
    /// a name may be longer than a filesystem takes.
    pub fn of(text: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        let name: String = text.chars().map(|c| if plain(c) { c } else { '_' }).collect();
        match name.as_str() {
            "" | "." | ".." => Self("_".repeat(name.len().max(1))),
            _ => Self(name),
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for FileName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<std::path::Path> for FileName {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl PartialEq<str> for FileName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for FileName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

impl Serialize for FileName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_no_names() {
        for text in [
            "",
            ".",
            "..",
            "/etc/x",
            "../x",
            "a/b",
            "a\0b",
            "a\nb",
            "\u{1b}[2J",
            "ä",
        ] {
            assert!(FileName::new(text).is_err(), "{text:?}");
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<FileName>(&json).is_err(), "{text:?}");
        }
        assert!(FileName::new("n".repeat(256)).is_err());
        for text in ["1-torn.safe.6.12+r2", "..a", "r1.on-~x:y"] {
            assert_eq!(FileName::new(text).unwrap(), text);
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_component(text in "[./\\PC]{0,8}") {
            for name in [FileName::new(text.clone()).ok(), Some(FileName::of(&text))].into_iter().flatten() {
                let mut components = Path::new(name.as_str()).components();
                prop_assert!(matches!(components.next(), Some(Component::Normal(_))));
                prop_assert!(components.next().is_none());
            }
        }
    }
}
