//! Paths, labels and contents: what they may look like.

#[cfg(feature = "schema")]
use std::borrow::Cow;

use coldcut_wire::PatternName;
#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};

use super::units::{Parsed, scalar};

/// A content as scenarios write it: `FILE@GENERATION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content(pub(crate) PatternName);

/// A path below the mounted root, without a leading slash; the root itself is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) String);

/// A path below the root or an open handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target(pub(crate) String);

/// A name that steps, scenarios or variants can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) String);

/// A kernel as the store finds it, or [`SAME`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelSpec(pub(crate) String);

/// Names, as a recovering kernel, the one that recorded.
pub const SAME: &str = "same";

/// What a [`Target`] that is a handle begins with.
pub(crate) const HANDLE: &str = "fd:";

fn parse_content(text: &str) -> Result<PatternName, String> {
    let bad = |c: char| c.is_whitespace() || c.is_control();
    match text.rsplit_once('@') {
        Some((file, generation)) if !file.is_empty() && !generation.is_empty() && !text.contains(bad) => {
            Ok(PatternName {
                file: file.to_owned(),
                generation: generation.to_owned(),
            })
        }
        _ => Err(format!(
            "expected a content such as `config@1` (file, @, generation), found `{text}`"
        )),
    }
}

/// Normalises a path: leading, trailing and doubled slashes and `.` go.
///
/// # Errors
/// In words, for `..`, NUL bytes, over-long names (255 bytes) and paths (4095 bytes).
pub fn parse_path(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("expected a path, found an empty string; the root is `/`".to_owned());
    }
    if text.contains('\0') {
        return Err("a path cannot hold a NUL byte".to_owned());
    }
    let parts: Vec<&str> = text.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.contains(&"..") {
        return Err(format!(
            "`{text}` could leave the filesystem under test: paths cannot contain `..`"
        ));
    }
    if parts.iter().any(|p| p.len() > 255) {
        return Err("a name of this path is longer than the 255 bytes that Linux allows".to_owned());
    }
    let path = parts.join("/");
    if path.len() > 4095 {
        return Err("this path is longer than the 4095 bytes that Linux allows".to_owned());
    }
    Ok(path)
}

fn parse_name(text: &str) -> Result<String, String> {
    match parse_path(text) {
        Ok(path) if text.starts_with(HANDLE) => {
            let handle = path.trim_start_matches(HANDLE);
            Err(format!(
                "`{handle}` is a handle, and this step needs a name in a directory"
            ))
        }
        other => other,
    }
}

fn parse_target(text: &str) -> Result<String, String> {
    match text.strip_prefix(HANDLE) {
        Some(handle) => parse_label(handle).map(|h| format!("{HANDLE}{h}")),
        None => parse_path(text),
    }
}

impl Label {
    /// Whether a text can be such a name; if not, why.
    pub(crate) fn check(text: &str) -> Result<(), String> {
        parse_label(text).map(drop)
    }
}

fn parse_label(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if text.is_empty() || text.len() > 64 || text.starts_with(['-', '.']) || !text.bytes().all(fits) {
        return Err(format!(
            "expected a name of 1 to 64 letters, digits, `-`, `_` and `.`, starting with a letter or digit, found `{text}`"
        ));
    }
    Ok(text.to_owned())
}

scalar!(Content, "a content such as `config@1`", parse_content, {
    "description": "A content, FILE@GENERATION: every sector that is written from it names it",
    "type": "string", "pattern": "^[^\\s]+@[^\\s@]+$"
});
scalar!(Path, "a path", parse_name, {
    "description": "A path below the mounted root; the root itself is /",
    "type": ["string", "number"]
});
scalar!(Target, "a path or a handle", parse_target, {
    "description": "A path below the mounted root, or fd:NAME for a handle that an `open` step opened",
    "type": ["string", "number"]
});
/// Reads the spelling only: whether there is such a kernel is known to the store.
fn parse_kernel(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._+~-:".contains(&b);
    if text.is_empty() || text.len() > 100 || !text.bytes().all(fits) || text.contains("..") {
        return Err(format!(
            "expected one kernel such as `6.12`, `newest` or a release, or `same` for the one that recorded, found `{text}`"
        ));
    }
    Ok(text.to_owned())
}

scalar!(KernelSpec, "a kernel", parse_kernel, {
    "description": "A kernel: a series such as 6.12, a version, a major version, a release, a name, newest; or same, the one that recorded",
    "type": ["string", "number"], "pattern": "^[A-Za-z0-9._+~:-]{1,100}$"
});
scalar!(Label, "a name", parse_label, {
    "description": "A name: letters, digits, -, _ and .",
    "type": ["string", "number"], "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$"
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_stay_below_the_root() {
        assert_eq!(parse_path("/"), Ok(String::new()));
        assert_eq!(parse_path("a//b/./c/"), Ok("a/b/c".to_owned()));
        assert_eq!(parse_path("/..a/b.."), Ok("..a/b..".to_owned()));
        for text in ["", "..", "a/../b", "/../etc", "a\0b"] {
            assert!(parse_path(text).is_err(), "{text:?}");
        }
        assert!(parse_path(&"n".repeat(256)).is_err());
        assert!(parse_path(&"n/".repeat(3000)).is_err());
    }

    #[test]
    fn contents_have_two_parts() {
        let content = parse_content("a@b@2").unwrap();
        assert_eq!((content.file.as_str(), content.generation.as_str()), ("a@b", "2"));
        for text in ["config", "@1", "config@", "a b@1", ""] {
            assert!(parse_content(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn normal_paths_are_stable(text in "[a-z./]{1,30}") {
            if let Ok(path) = parse_path(&text) && !path.is_empty() {
                prop_assert_eq!(parse_path(&path), Ok(path.clone()));
                prop_assert!(!path.starts_with('/') && !path.split('/').any(|p| p == ".."));
            }
        }
    }
}
