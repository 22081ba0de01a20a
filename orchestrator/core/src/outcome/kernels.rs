//! Ranges of kernel series, for what differs from kernel to kernel.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kernel series, such as 6.12.
pub type Series = (u32, u32);

/// Series from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelRange {
    /// The first; `None` is any.
    pub from: Option<Series>,
    /// The last; `None` is any.
    pub to: Option<Series>,
}

/// The series of a release such as `6.12.57-cloud-amd64`, or of `6.12` itself.
pub fn series(release: &str) -> Option<Series> {
    let (major, rest) = release.split_once('.')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..digits].parse().ok()?))
}

impl KernelRange {
    /// Reads `6.12`, `..6.1`, `6.12..` or `5.10..6.1`.
    ///
    /// # Errors
    /// In words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected kernels such as `6.12`, `..6.1`, `6.12..` or `5.10..6.1`, found `{text}`");
        let whole = |part: &str| match series(part) {
            Some((major, minor)) if format!("{major}.{minor}") == part => Ok(Some((major, minor))),
            _ => Err(wrong()),
        };
        let side = |part: &str| if part.is_empty() { Ok(None) } else { whole(part) };
        let (from, to) = match text.split_once("..") {
            None => (whole(text)?, whole(text)?),
            Some((from, to)) => (side(from)?, side(to)?),
        };
        match (from, to) {
            (None, None) => Err(wrong()),
            (Some(first), Some(last)) if first > last => Err(format!("`{text}` begins after its end")),
            _ => Ok(Self { from, to }),
        }
    }

    /// Whether a series is in it.
    pub fn contains(&self, series: Series) -> bool {
        self.from.is_none_or(|from| from <= series) && self.to.is_none_or(|to| series <= to)
    }

    /// Whether some series is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let before = |a: &Self, b: &Self| matches!((a.to, b.from), (Some(to), Some(from)) if to < from);
        !before(self, other) && !before(other, self)
    }
}

impl fmt::Display for KernelRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |series: Option<Series>| series.map_or_else(String::new, |(a, b)| format!("{a}.{b}"));
        if self.from == self.to {
            return f.write_str(&one(self.from));
        }
        write!(f, "{}..{}", one(self.from), one(self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_a_series() {
        assert_eq!(series("6.12.57+deb13-cloud-amd64"), Some((6, 12)));
        assert_eq!(series("5.10.0-36-cloud-amd64"), Some((5, 10)));
        assert_eq!(series("7.3-rc1"), Some((7, 3)));
        assert_eq!(series("6"), None);
        assert_eq!(series("next-20260101"), None);
    }

    #[test]
    fn ranges_are_by_number() {
        let range = |text| KernelRange::parse(text).unwrap();
        assert!(range("..6.1").contains((5, 10)) && range("..6.1").contains((6, 1)));
        assert!(!range("..6.1").contains((6, 12)));
        assert!(range("6.2..").contains((6, 12)) && range("6.2..").contains((7, 0)));
        assert!(range("6.12").contains((6, 12)) && !range("6.12").contains((6, 1)));
        assert!(range("..6.1").overlaps(&range("6.1..6.5")));
        assert!(!range("..6.1").overlaps(&range("6.2..")));
        assert!(range("5.4..").overlaps(&range("..5.4")));
        for text in ["..6.1", "6.12..", "5.10..6.1", "6.12"] {
            assert_eq!(range(text).to_string(), text);
        }
        for text in ["", "..", "6", "6.1.2", "6.x", "6.12..6.1", "6.1...", "6.01"] {
            assert!(KernelRange::parse(text).is_err(), "{text}");
        }
    }
}
