//! Kernels that package lists offer.

use std::collections::BTreeMap;

use super::manifest::{Flavour, PackageRecord};
use super::spec::{Spec, Wanted};
use super::version::{KernelVersion, debian_cmp};

/// A kernel that can be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// `uname -r`.
    pub release: String,
    /// Upstream version.
    pub version: KernelVersion,
    /// Package version.
    pub package_version: String,
    /// The build.
    pub flavour: Flavour,
    /// The suite that has it.
    pub suite: String,
    /// The packages to fetch, the one with the kernel first.
    pub packages: Vec<PackageRecord>,
    /// Whether the packages are the ones without a Secure Boot signature.
    pub unsigned: bool,
}

impl Offer {
    /// Bytes to download.
    pub fn size(&self) -> u64 {
        self.packages.iter().fold(0, |sum, p| sum.saturating_add(p.size))
    }
}

/// One stanza of a package list, as far as it matters.
#[derive(Debug, Default)]
struct Stanza<'a> {
    package: &'a str,
    version: &'a str,
    depends: &'a str,
    sha256: &'a str,
    size: &'a str,
}

impl Stanza<'_> {
    fn record(&self) -> Option<PackageRecord> {
        let hex = self.sha256.len() == 64 && self.sha256.bytes().all(|b| b.is_ascii_hexdigit());
        let size = self.size.parse().ok().filter(|_| hex)?;
        let (package, version) = (self.package.to_owned(), self.version.to_owned());
        Some(PackageRecord {
            package,
            version,
            sha256: self.sha256.to_ascii_lowercase(),
            size,
        })
    }
}

/// What one package list offers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Kernels that can be pulled.
    pub offers: Vec<Offer>,
    /// Releases of which a package is missing: an archive drops parts of superseded kernels at different times.
    pub incomplete: Vec<String>,
}

/// Reads the kernels that one suite's package list (`Packages`) offers.
///
/// A kernel is a `linux-image-<release>` package whose release has three numbers and ends in `amd64`, with
/// its `linux-binary-`, `linux-base-` and `linux-modules-` packages where the series splits them.
pub fn offers(packages: &str, suite: &str) -> Offered {
    let stanzas: Vec<_> = packages.split("\n\n").filter_map(kernel_stanza).collect();
    let by_name: BTreeMap<(&str, &str), &Stanza> =
        stanzas.iter().map(|s| ((s.package, s.version), s)).collect();
    let mut offered = Offered::default();
    for stanza in &stanzas {
        if let Some((release, flavour, unsigned)) = image_name(stanza.package) {
            match parts(stanza, release, &by_name).zip(KernelVersion::leading(stanza.version)) {
                Some((packages, version)) => offered.offers.push(Offer {
                    release: release.to_owned(),
                    version,
                    package_version: stanza.version.to_owned(),
                    flavour,
                    suite: suite.to_owned(),
                    packages,
                    unsigned,
                }),
                None => offered.incomplete.push(release.to_owned()),
            }
        }
    }
    offered
}

fn kernel_stanza(text: &str) -> Option<Stanza<'_>> {
    let text = text.trim_start_matches('\n');
    if !text.starts_with("Package: linux-") {
        return None;
    }
    let mut stanza = Stanza::default();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        match name {
            "Package" => stanza.package = value,
            "Version" => stanza.version = value,
            "Depends" => stanza.depends = value,
            "SHA256" => stanza.sha256 = value,
            "Size" => stanza.size = value,
            _ => {}
        }
    }
    Some(stanza)
}

/// Release, flavour and whether it is unsigned, from a package name.
fn image_name(package: &str) -> Option<(&str, Flavour, bool)> {
    let name = package.strip_prefix("linux-image-")?;
    let (release, unsigned) = name
        .strip_suffix("-unsigned")
        .map_or((name, false), |r| (r, true));
    let abi = release.strip_suffix("-amd64")?;
    let (abi, flavour) = abi
        .strip_suffix("-cloud")
        .map_or((abi, Flavour::Full), |a| (a, Flavour::Cloud));
    // Three numbers: `linux-image-6.12-amd64` is a name for the latest of a series. Other builds (rt) are
    // left out.
    let numbers = abi.split(['-', '+', '~']).next()?;
    let three = numbers.split('.').count() == 3 && KernelVersion::leading(numbers).is_some();
    (three && !abi.ends_with("-rt")).then_some((release, flavour, unsigned))
}

/// The packages of a kernel, the one with the boot image first; None when one is missing.
fn parts(
    image: &Stanza,
    release: &str,
    by_name: &BTreeMap<(&str, &str), &Stanza>,
) -> Option<Vec<PackageRecord>> {
    let names: Vec<_> = image
        .depends
        .split(',')
        .map(|d| d.trim().split([' ', ':']).next().unwrap_or_default())
        .collect();
    let part = |prefix: &str| {
        let ours = |n: &&&str| {
            n.strip_prefix(prefix)
                .is_some_and(|r| r.trim_end_matches("-unsigned") == release)
        };
        names
            .iter()
            .find(ours)
            .map(|name| by_name.get(&(*name, image.version))?.record())
    };
    let Some(binary) = part("linux-binary-") else {
        // All in one package. Where there is a linux-base package as well, it has nothing that is needed.
        return Some(vec![image.record()?]);
    };
    // Split: the image package is empty.
    let mut packages = vec![binary?];
    for prefix in ["linux-base-", "linux-modules-"] {
        if let Some(package) = part(prefix) {
            packages.push(package?);
        }
    }
    Some(packages)
}

/// Sorts offers, lowest version first, and drops what is offered twice: a signed build goes before an
/// unsigned one of the same release.
pub fn merge(mut offers: Vec<Offer>) -> Vec<Offer> {
    offers.sort_by(|a, b| {
        a.version
            .cmp(&b.version)
            .then_with(|| debian_cmp(&a.package_version, &b.package_version))
            .then_with(|| a.release.cmp(&b.release))
            .then_with(|| b.flavour.cmp(&a.flavour))
            .then_with(|| a.unsigned.cmp(&b.unsigned))
            .then_with(|| a.suite.cmp(&b.suite))
    });
    offers.dedup_by(|a, b| (&a.release, &a.package_version) == (&b.release, &b.package_version));
    offers
}

/// The offers that a spec means, lowest version first: of the cloud build unless the spec says otherwise, and
/// the newest that fits (of each series of a range).
pub fn select<'a>(offers: &'a [Offer], spec: &Spec) -> Vec<&'a Offer> {
    let by_name = |o: &Offer| matches!(&spec.wanted, Wanted::Name(name) if *name == o.release);
    let flavour = spec.flavour.unwrap_or(Flavour::Cloud);
    let fits =
        |o: &&Offer| spec.fits(o.version, &o.release, o.flavour) && (o.flavour == flavour || by_name(o));
    spec.choose(offers.iter().filter(fits).collect(), |o| o.version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stanza(package: &str, version: &str, depends: &str, size: u32) -> String {
        let sha = format!("{size:064x}");
        format!(
            "Package: {package}\nSource: linux\nVersion: {version}\nArchitecture: amd64\n\
             Depends: kmod, {depends}\nSize: {size}\nSHA256: {sha}\nDescription: text\n more text\n\n"
        )
    }

    fn list() -> String {
        [
            stanza("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2", "linux-base (>= 4.3~)", 26),
            stanza("linux-image-6.1.0-56-cloud-amd64-unsigned", "6.1.192-2", "linux-base", 27),
            stanza("linux-image-6.1.0-56-amd64", "6.1.192-2", "linux-base", 70),
            stanza("linux-image-6.1.0-9-cloud-amd64", "6.1.99-1", "linux-base", 25),
            stanza("linux-image-6.1.0-57-cloud-amd64-unsigned", "6.1.193-1", "linux-base", 28),
            stanza("linux-image-6.12-cloud-amd64", "6.12.117-1", "linux-image-6.12.117-cloud-amd64", 1),
            stanza("linux-image-cloud-amd64", "6.1.192-2", "linux-image-6.1.0-56-cloud-amd64", 1),
            stanza("linux-image-6.1.0-56-rt-amd64", "6.1.192-2", "linux-base", 70),
            stanza("linux-image-6.1.0-56-cloud-amd64-dbg", "6.1.192-2", "linux-base", 700),
            stanza("linux-headers-6.1.0-56-cloud-amd64", "6.1.192-2", "x", 2),
            stanza(
                "linux-image-7.3.4+deb13-cloud-amd64",
                "7.3.4-1",
                "linux-base (>= 4.12~), linux-base-7.3.4+deb13-cloud-amd64 (= 7.3.4-1), \
                 linux-modules-7.3.4+deb13-cloud-amd64 (= 7.3.4-1), linux-binary-7.3.4+deb13-cloud-amd64 (= 7.3.4-1)",
                2,
            ),
            stanza("linux-base-7.3.4+deb13-cloud-amd64", "7.3.4-1", "", 3),
            stanza("linux-binary-7.3.4+deb13-cloud-amd64", "7.3.4-1", "", 13),
            stanza("linux-modules-7.3.4+deb13-cloud-amd64", "7.3.4-1", "", 22),
            stanza("linux-image-7.3.5-cloud-amd64", "7.3.5-1", "linux-binary-7.3.5-cloud-amd64", 2),
            stanza("linux-image-6.18.9-cloud-amd64", "6.18.9-1", "linux-base-6.18.9-cloud-amd64 (= 6.18.9-1)", 49),
        ]
        .concat()
    }

    #[test]
    fn reads_old_and_split_packages() {
        let offered = offers(&list(), "some-suite");
        assert_eq!(offered.incomplete, ["7.3.5-cloud-amd64"]);
        let line = |offer: &Offer| {
            let packages: Vec<_> = offer
                .packages
                .iter()
                .map(|p| format!("{}:{}", p.package, p.size))
                .collect();
            let unsigned = if offer.unsigned { " unsigned" } else { "" };
            let (version, release, flavour) = (offer.version, &offer.release, offer.flavour);
            format!(
                "{version} {release} {flavour}{unsigned} = {}\n",
                packages.join(" + ")
            )
        };
        let text: String = merge(offered.offers).iter().map(line).collect();
        insta::assert_snapshot!(text, @r"
        6.1.99 6.1.0-9-cloud-amd64 cloud = linux-image-6.1.0-9-cloud-amd64:25
        6.1.192 6.1.0-56-amd64 full = linux-image-6.1.0-56-amd64:70
        6.1.192 6.1.0-56-cloud-amd64 cloud = linux-image-6.1.0-56-cloud-amd64:26
        6.1.193 6.1.0-57-cloud-amd64 cloud unsigned = linux-image-6.1.0-57-cloud-amd64-unsigned:28
        6.18.9 6.18.9-cloud-amd64 cloud = linux-image-6.18.9-cloud-amd64:49
        7.3.4 7.3.4+deb13-cloud-amd64 cloud = linux-binary-7.3.4+deb13-cloud-amd64:13 + linux-base-7.3.4+deb13-cloud-amd64:3 + linux-modules-7.3.4+deb13-cloud-amd64:22
        ");
    }

    #[test]
    fn selects_the_newest_of_the_flavour() {
        let offers = merge(offers(&list(), "s").offers);
        let pick = |spec| {
            select(&offers, &Spec::parse(spec).unwrap())
                .last()
                .map(|o| o.release.as_str())
        };
        assert_eq!(pick("6.1"), Some("6.1.0-57-cloud-amd64"));
        assert_eq!(pick("6.1.192"), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(pick("6.1:full"), Some("6.1.0-56-amd64"));
        assert_eq!(pick("6.1.0-56-amd64"), Some("6.1.0-56-amd64"));
        assert_eq!(pick("newest"), Some("7.3.4+deb13-cloud-amd64"));
        assert_eq!(pick("7.3:full"), None);
        assert_eq!(pick("5.10"), None);
        let range = Spec::parse("6.1..7.3").unwrap();
        let releases: Vec<_> = select(&offers, &range)
            .iter()
            .map(|o| o.release.as_str())
            .collect();
        assert_eq!(
            releases,
            [
                "6.1.0-57-cloud-amd64",
                "6.18.9-cloud-amd64",
                "7.3.4+deb13-cloud-amd64"
            ]
        );
    }

    proptest! {
        #[test]
        fn any_list_is_survived(at in 0usize..3000, cut in 0usize..3000, value: u8, junk in "[ -~\n]{0,80}") {
            let mut bytes = list().into_bytes();
            if let Some(byte) = bytes.get_mut(at) { *byte = value; }
            bytes.truncate(cut);
            bytes.extend(junk.bytes());
            for offer in merge(offers(&String::from_utf8_lossy(&bytes), "s").offers) {
                prop_assert!(!offer.packages.is_empty());
                prop_assert!(offer.packages.iter().all(|p| p.sha256.len() == 64));
            }
        }
    }

    #[test]
    fn lists_that_lie_offer_nothing() {
        assert_eq!(offers("", "s"), Offered::default());
        let bare = offers("Package: linux-image-6.1.0-1-amd64\nVersion: 6.1.1-1\n\n", "s");
        assert!(bare.offers.is_empty() && bare.incomplete == ["6.1.0-1-amd64"]);
        let bad = list().replace("SHA256: ", "SHA256: zz");
        assert!(offers(&bad, "s").offers.is_empty());
    }
}
