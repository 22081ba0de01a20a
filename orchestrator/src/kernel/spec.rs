//! What a user writes to name kernels: `6.12`, `6.12.94`, `7`, `newest`, a release, a name; a range `6.12..7.3` or
//! `6.12..7`; with `/every` for every version instead of the newest of each series; with `:full` for the full build.

use std::fmt;

use super::manifest::Flavour;
use super::version::KernelVersion;

/// Why a spec is not valid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SpecError {
    /// Nothing was given.
    #[error(
        "an empty kernel spec; expected a series (6.12), a version (6.12.94), a major version (7), a release, a name or `newest`"
    )]
    Empty,
    /// An unknown flavour.
    #[error("unknown flavour `{0}` in `{1}`; expected `cloud` or `full`")]
    Flavour(String, String),
    /// A range whose ends are no versions, or the wrong way round.
    #[error("`{0}` is no range: expected two series or versions, the lower one first, such as 6.12..7.3")]
    Range(String),
    /// `/every` on a spec that names one kernel.
    #[error(
        "`/every` in `{0}` wants a series (6.12/every), a major version (7/every) or a range (6.12..7.3/every)"
    )]
    Every(String),
    /// One kernel is needed.
    #[error(
        "`{0}` may name several kernels; expected a series (6.12), a version, a release, a name or `newest`"
    )]
    Several(String),
    /// Characters that no kernel name has.
    #[error(
        "`{0}` names no kernel: expected a series (6.12), a version (6.12.94), a major version (7), a release, a name or `newest`"
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
    /// Every version that fits, instead of the newest of each series.
    pub every: bool,
    text: String,
}

/// Which kernel is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The highest version there is.
    Newest,
    /// The highest version of a series.
    Series(u32, u32),
    /// The highest version that begins with this number.
    Major(u32),
    /// An upstream version.
    Version(KernelVersion),
    /// From one version to another, both included.
    Range(KernelVersion, KernelVersion),
    /// A release (`uname -r`), a name, or the start of a digest.
    Name(String),
}

impl Spec {
    /// Parses a spec.
    ///
    /// # Errors
    /// [`SpecError`].
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let (head, flavour) = match text.split_once(':') {
            None => (text, None),
            Some((head, "cloud")) => (head, Some(Flavour::Cloud)),
            Some((head, "full")) => (head, Some(Flavour::Full)),
            Some((_, other)) => return Err(SpecError::Flavour(other.to_owned(), text.to_owned())),
        };
        let (head, every) = head
            .strip_suffix("/every")
            .map_or((head, false), |head| (head, true));
        if head.is_empty() {
            return Err(SpecError::Empty);
        }
        if let Some((from, to)) = head
            .split_once("..")
            .filter(|(from, to)| !from.is_empty() && !to.is_empty())
        {
            let wanted = range(from, to).ok_or_else(|| SpecError::Range(text.to_owned()))?;
            return Ok(Self {
                wanted,
                flavour,
                every,
                text: text.to_owned(),
            });
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
            _ if let Some(major) = major(head) => Wanted::Major(major),
            _ if digits && head.contains('.') => return Err(SpecError::Characters(text.to_owned())),
            _ => Wanted::Name(head.to_owned()),
        };
        if every && !matches!(wanted, Wanted::Series(..) | Wanted::Major(_)) {
            return Err(SpecError::Every(text.to_owned()));
        }
        Ok(Self {
            wanted,
            flavour,
            every,
            text: text.to_owned(),
        })
    }

    /// Parses a spec that must name one kernel.
    ///
    /// # Errors
    /// [`SpecError`].
    pub fn parse_one(text: &str) -> Result<Self, SpecError> {
        let spec = Self::parse(text)?;
        if spec.may_be_several() {
            Err(SpecError::Several(text.to_owned()))
        } else {
            Ok(spec)
        }
    }

    /// Whether it may mean more than one kernel.
    pub fn may_be_several(&self) -> bool {
        self.every || matches!(self.wanted, Wanted::Range(..))
    }

    /// Of candidates that fit, lowest version first, those that are meant.
    pub fn choose<'a, T>(&self, candidates: Vec<&'a T>, version: impl Fn(&T) -> KernelVersion) -> Vec<&'a T> {
        let group = |item: &T| {
            let version = version(item);
            (
                version.major,
                version.minor,
                if self.every { version.patch } else { 0 },
            )
        };
        let mut chosen: Vec<&T> = Vec::new();
        for item in candidates {
            if !self.may_be_several() || chosen.last().is_some_and(|last| group(last) == group(item)) {
                chosen.pop();
            }
            chosen.push(item);
        }
        chosen
    }

    /// Whether a kernel of this version, release and flavour is meant. Names and digests are not looked at.
    pub fn fits(&self, version: KernelVersion, release: &str, flavour: Flavour) -> bool {
        self.flavour.is_none_or(|f| f == flavour)
            && match &self.wanted {
                Wanted::Newest => true,
                Wanted::Series(major, minor) => (version.major, version.minor) == (*major, *minor),
                Wanted::Major(major) => version.major == *major,
                Wanted::Version(wanted) => version == *wanted,
                Wanted::Range(from, to) => (*from..=*to).contains(&version),
                Wanted::Name(name) => name == release,
            }
    }
}

/// A major version: shorter than the start of any digest.
fn major(text: &str) -> Option<u32> {
    let plain = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain && !text.starts_with('0'))
}

/// Reads the two ends of a range; a series or a major version as the upper end means all of it.
fn range(from: &str, to: &str) -> Option<Wanted> {
    let end = |text: &str, beyond: u32| {
        if let Some(major) = major(text) {
            let (minor, patch) = (beyond, beyond);
            return Some(KernelVersion { major, minor, patch });
        }
        let version = KernelVersion::leading(text)?;
        let series = text == version.series();
        let patch = if series { beyond } else { version.patch };
        (series || text == version.to_string()).then_some(KernelVersion { patch, ..version })
    };
    let (from, to) = (end(from, 0)?, end(to, u32::MAX)?);
    (from <= to).then_some(Wanted::Range(from, to))
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
        assert_eq!(wanted("7"), Wanted::Major(7));
        assert_eq!(wanted("07"), Wanted::Name("07".into()));
        assert_eq!(wanted("712345"), Wanted::Name("712345".into()));
        assert_eq!(
            wanted("6.12.94+deb13-amd64"),
            Wanted::Name("6.12.94+deb13-amd64".into())
        );
        assert_eq!(wanted("0123abcd"), Wanted::Name("0123abcd".into()));
        assert_eq!(Spec::parse("6.1:full").unwrap().flavour, Some(Flavour::Full));
        assert_eq!(Spec::parse("6.1:full").unwrap().to_string(), "6.1:full");
    }

    #[test]
    fn ranges_take_the_newest_of_each_series_or_every_version() {
        let versions: Vec<KernelVersion> = ["6.1.9", "6.12.3", "6.12.5", "6.16.1", "7.3.1", "7.3.4", "7.4.0"]
            .iter()
            .filter_map(|v| KernelVersion::leading(v))
            .collect();
        let chosen = |text: &str| {
            let spec = Spec::parse(text).unwrap();
            let fit = versions
                .iter()
                .filter(|v| spec.fits(**v, "r", Flavour::Cloud))
                .collect();
            spec.choose(fit, |v| *v)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(chosen("6.12..7.3"), "6.12.5 6.16.1 7.3.4");
        assert_eq!(chosen("6.12.4..7.3.1"), "6.12.5 6.16.1 7.3.1");
        assert_eq!(chosen("6.12..7.3/every"), "6.12.3 6.12.5 6.16.1 7.3.1 7.3.4");
        assert_eq!(chosen("6.12/every:cloud"), "6.12.3 6.12.5");
        assert_eq!(chosen("6.12"), "6.12.5");
        assert_eq!(chosen("newest"), "7.4.0");
        assert_eq!(chosen("6"), "6.16.1");
        assert_eq!(chosen("7/every"), "7.3.1 7.3.4 7.4.0");
        assert_eq!(chosen("6.12..7"), "6.12.5 6.16.1 7.3.4 7.4.0");
        assert_eq!(chosen("6..6.12"), "6.1.9 6.12.5");
        assert_eq!(chosen("5"), "");
        assert_eq!(chosen("6.12..7.3:full"), "");
        for bad in ["7.3..6.12", "7..6", "6.12..newest", "6.12..077", "x..y"] {
            assert!(matches!(Spec::parse(bad), Err(SpecError::Range(_))), "{bad}");
        }
        assert!(matches!(Spec::parse("newest/every"), Err(SpecError::Every(_))));
        assert!(matches!(Spec::parse_one("6.1..6.2"), Err(SpecError::Several(_))));
        assert!(Spec::parse_one("6.1").is_ok());
    }

    #[test]
    fn refuses_nonsense() {
        assert_eq!(Spec::parse(""), Err(SpecError::Empty));
        assert_eq!(Spec::parse(":full"), Err(SpecError::Empty));
        for bad in ["6.1.2.3", "a/b", "../x", "6.012", "6.1 "] {
            assert!(matches!(Spec::parse(bad), Err(SpecError::Characters(_))), "{bad}");
        }
        assert!(matches!(Spec::parse("6.1:tiny"), Err(SpecError::Flavour(..))));
    }
}
