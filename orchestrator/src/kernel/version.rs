//! Kernel versions, and how Debian package versions are ordered.

use std::cmp::Ordering;
use std::fmt;

/// An upstream kernel version, such as 6.12.94.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// First number.
    pub major: u32,
    /// Second number; with the first it makes the series.
    pub minor: u32,
    /// Third number; 0 when absent.
    pub patch: u32,
}

impl KernelVersion {
    /// Reads the version at the start of a release or package version: `6.12.94-1~deb12u1`, `7.0-rc3`.
    pub fn leading(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let mut numbers = text[..end]
            .trim_end_matches('.')
            .split('.')
            .map(|n| n.parse::<u32>().ok());
        let version = Self {
            major: numbers.next()??,
            minor: numbers.next()??,
            patch: numbers.next().unwrap_or(Some(0))?,
        };
        Some(version)
    }

    /// The series, `6.12`.
    pub fn series(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Compares two Debian versions as dpkg does: deb-version(7).
pub fn debian_cmp(a: &str, b: &str) -> Ordering {
    let (epoch_a, upstream_a, revision_a) = split(a);
    let (epoch_b, upstream_b, revision_b) = split(b);
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| part_cmp(upstream_a, upstream_b))
        .then_with(|| part_cmp(revision_a, revision_b))
}

fn split(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch.parse().unwrap_or(0), upstream, revision)
}

/// Alternates text (where `~` sorts before the end, and letters before the rest) and numbers.
fn part_cmp(a: &str, b: &str) -> Ordering {
    fn weight(byte: Option<&u8>) -> i32 {
        match byte {
            Some(b'~') => -1,
            None => 0,
            Some(b) if b.is_ascii_digit() => 0,
            Some(b) if b.is_ascii_alphabetic() => i32::from(*b),
            Some(b) => i32::from(*b) + 256,
        }
    }
    fn number<'n>(rest: &mut &'n [u8]) -> &'n [u8] {
        let zeros = rest.iter().take_while(|b| **b == b'0').count();
        let digits = rest[zeros..].iter().take_while(|b| b.is_ascii_digit()).count();
        let found = &rest[zeros..zeros + digits];
        *rest = &rest[zeros + digits..];
        found
    }
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        loop {
            let text = |s: &[u8]| s.first().is_some_and(|c| !c.is_ascii_digit());
            if !text(a) && !text(b) {
                break;
            }
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order.is_ne() {
                return order;
            }
            // Equal weights and at least one is text: both are the same character.
            (a, b) = (&a[1..], &b[1..]);
        }
        let (x, y) = (number(&mut a), number(&mut b));
        let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_leading_versions() {
        let read = |t| KernelVersion::leading(t).map(|v| v.to_string());
        assert_eq!(read("6.12.94-1~deb12u1").as_deref(), Some("6.12.94"));
        assert_eq!(read("6.12").as_deref(), Some("6.12.0"));
        assert_eq!(read("5.10.0-46-cloud-amd64").as_deref(), Some("5.10.0"));
        assert_eq!(read("7.0-rc3+").as_deref(), Some("7.0.0"));
        for bad in ["", "6", "amd64", "6.x", ".1", "6..1", "99999999999.1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn sorts_as_dpkg_does() {
        // Each less than the next; checked against `dpkg --compare-versions`.
        let sorted = [
            "6.1.99-1",
            "6.1.172-1~deb11u1",
            "6.1.172-1",
            "6.1.192-2",
            "6.12.9-1",
            "6.12.90-1~bpo12+1",
            "6.12.90-1",
            "6.12.90-2",
            "6.12.117-1~deb12u1",
            "6.12.117-1",
            "7.0~rc3-1",
            "7.0-1",
            "1:1.0",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(debian_cmp(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(debian_cmp(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(debian_cmp("1.0", "1.0-0"), Ordering::Equal);
        assert_eq!(debian_cmp("1.01", "1.1"), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn is_an_order(a in "[0-9a-c.~+:-]{0,8}", b in "[0-9a-c.~+:-]{0,8}", c in "[0-9a-c.~+:-]{0,8}") {
            prop_assert_eq!(debian_cmp(&a, &b), debian_cmp(&b, &a).reverse());
            prop_assert_eq!(debian_cmp(&a, &a), Ordering::Equal);
            if debian_cmp(&a, &b).is_le() && debian_cmp(&b, &c).is_le() {
                prop_assert!(debian_cmp(&a, &c).is_le());
            }
        }
    }
}
