//! What a user writes to name kernels: `6.12`, `6.12.94`, `newest`, a release, a name, `6.12:full`.

use std::fmt;

use super::manifest::Flavour;
use super::version::KernelVersion;

/// Why a spec is not valid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SpecError {
    /// Nothing was given.
    #[error(
        "an empty kernel spec; expected a series (6.12), a version (6.12.94), a release, a name or `newest`"
    )]
    Empty,
    /// An unknown flavour.
    #[error("unknown flavour `{0}` in `{1}`; expected `cloud` or `full`")]
    Flavour(String, String),
    /// Characters that no kernel name has.
    #[error(
        "`{0}` names no kernel: expected a series (6.12), a version (6.12.94), a release, a name or `newest`"
    )]
    Characters(String),
}

/// A kernel asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Which one.
    pub wanted: Wanted,
    /// The flavour, when the user said one.
    pub flavour: Option<Flavour>,
    text: String,
}

/// Which kernel is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The highest version there is.
    Newest,
    /// The highest version of a series.
    Series(u32, u32),
    /// An upstream version.
    Version(KernelVersion),
    /// A release (`uname -r`), a name, or the start of a digest.
    Name(String),
}

impl Spec {
    /// Parses a spec.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let (head, flavour) = match text.split_once(':') {
            None => (text, None),
            Some((head, "cloud")) => (head, Some(Flavour::Cloud)),
            Some((head, "full")) => (head, Some(Flavour::Full)),
            Some((_, other)) => return Err(SpecError::Flavour(other.to_owned(), text.to_owned())),
        };
        if head.is_empty() {
            return Err(SpecError::Empty);
        }
        if !head
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+~-".contains(c))
        {
            return Err(SpecError::Characters(text.to_owned()));
        }
        let digits = head.chars().all(|c| c.is_ascii_digit() || c == '.');
        let wanted = match (head, KernelVersion::leading(head)) {
            ("newest", _) => Wanted::Newest,
            (_, Some(version)) if digits && head == version.series() => {
                Wanted::Series(version.major, version.minor)
            }
            (_, Some(version)) if digits && head == version.to_string() => Wanted::Version(version),
            _ if digits && head.contains('.') => return Err(SpecError::Characters(text.to_owned())),
            _ => Wanted::Name(head.to_owned()),
        };
        Ok(Self {
            wanted,
            flavour,
            text: text.to_owned(),
        })
    }

    /// Whether a kernel of this version, release and flavour is meant. Names and digests are not looked at.
    pub fn fits(&self, version: KernelVersion, release: &str, flavour: Flavour) -> bool {
        self.flavour.is_none_or(|f| f == flavour)
            && match &self.wanted {
                Wanted::Newest => true,
                Wanted::Series(major, minor) => (version.major, version.minor) == (*major, *minor),
                Wanted::Version(wanted) => version == *wanted,
                Wanted::Name(name) => name == release,
            }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_series_version_and_name() {
        let wanted = |t| Spec::parse(t).unwrap().wanted;
        assert_eq!(wanted("6.12"), Wanted::Series(6, 12));
        assert_eq!(
            wanted("6.12.94"),
            Wanted::Version(KernelVersion {
                major: 6,
                minor: 12,
                patch: 94
            })
        );
        assert_eq!(wanted("newest"), Wanted::Newest);
        assert_eq!(
            wanted("6.12.94+deb13-amd64"),
            Wanted::Name("6.12.94+deb13-amd64".into())
        );
        assert_eq!(wanted("0123abcd"), Wanted::Name("0123abcd".into()));
        assert_eq!(Spec::parse("6.1:full").unwrap().flavour, Some(Flavour::Full));
        assert_eq!(Spec::parse("6.1:full").unwrap().to_string(), "6.1:full");
    }

    #[test]
    fn refuses_nonsense() {
        assert_eq!(Spec::parse(""), Err(SpecError::Empty));
        assert_eq!(Spec::parse(":full"), Err(SpecError::Empty));
        for bad in ["6..1", "6.1.2.3", "a/b", "../x", "6.012", "6.1 "] {
            assert!(matches!(Spec::parse(bad), Err(SpecError::Characters(_))), "{bad}");
        }
        assert!(matches!(Spec::parse("6.1:tiny"), Err(SpecError::Flavour(..))));
    }
}
