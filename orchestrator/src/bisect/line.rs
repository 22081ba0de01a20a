//! The kernels of a search, in version order: those in the store and those that the archives offer.

use serde::{Deserialize, Serialize};

use crate::kernel::index::Offer;
use crate::kernel::manifest::{Flavour, Manifest, Origin, PackageRecord};
use crate::kernel::spec::{Spec, SpecError, Wanted};
use crate::kernel::version::{KernelVersion, debian_cmp};

/// A kernel that can be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its release, or the name of a user's own.
    pub name: String,
    /// Its upstream version.
    pub version: String,
    /// Its build.
    pub flavour: Flavour,
    /// Its digest, once it is stored.
    pub digest: Option<String>,
    /// The packages that it comes from; none for a user's own.
    pub packages: Vec<PackageRecord>,
}

/// Why there is no line of kernels between two ends.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// An end is not a valid spec.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// No kernel fits an end.
    #[error("no {flavour} kernel `{end}` is stored or offered; there are: {there}")]
    NoEnd {
        /// The end.
        end: String,
        /// The flavour.
        flavour: Flavour,
        /// The kernels that there are.
        there: String,
    },
    /// Both ends are the same kernel.
    #[error("both ends are {0}: expected two kernels")]
    OneKernel(String),
    /// The ends are of different builds.
    #[error("`{0}` and `{1}` ask for different builds: a search goes over one, `cloud` or `full`")]
    Flavours(String, String),
}

impl Candidate {
    /// A stored kernel.
    pub fn stored(manifest: &Manifest) -> Self {
        Self {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            flavour: manifest.flavour,
            digest: Some(manifest.digest.clone()),
            packages: match &manifest.origin {
                Origin::Debian { packages, .. } => packages.clone(),
                Origin::File { .. } => Vec::new(),
            },
        }
    }

    /// An offered one.
    pub fn offered(offer: &Offer) -> Self {
        Self {
            name: offer.release.clone(),
            version: offer.version.to_string(),
            flavour: offer.flavour,
            digest: None,
            packages: offer.packages.clone(),
        }
    }

    fn version(&self) -> KernelVersion {
        KernelVersion::leading(&self.version).unwrap_or(KernelVersion {
            major: 0,
            minor: 0,
            patch: 0,
        })
    }

    fn package_version(&self) -> &str {
        self.packages.first().map_or("", |p| &p.version)
    }

    /// Name and version, for messages.
    pub fn describe(&self) -> String {
        if self.name.starts_with(&self.version) {
            self.name.clone()
        } else {
            format!("{} ({})", self.name, self.version)
        }
    }
}

/// The flavour that two ends ask for; the cloud build when neither names one.
///
/// # Errors
/// [`LineError`].
pub fn flavour_of(ends: [&str; 2]) -> Result<Flavour, LineError> {
    let [one, other] = [
        Spec::parse_one(ends[0])?.flavour,
        Spec::parse_one(ends[1])?.flavour,
    ];
    match (one, other) {
        (Some(a), Some(b)) if a != b => Err(LineError::Flavours(ends[0].to_owned(), ends[1].to_owned())),
        (a, b) => Ok(a.or(b).unwrap_or(Flavour::Cloud)),
    }
}

/// All candidates of a flavour in version order, one for each version: an upstream version that Debian built for
/// several releases is tested once, a stored build before others, a later one before an earlier.
pub fn in_order(mut candidates: Vec<Candidate>, flavour: Flavour) -> Vec<Candidate> {
    candidates.retain(|c| c.flavour == flavour);
    candidates.sort_by(|a, b| {
        a.version()
            .cmp(&b.version())
            .then_with(|| a.digest.is_none().cmp(&b.digest.is_none()))
            .then_with(|| debian_cmp(b.package_version(), a.package_version()))
            .then_with(|| a.name.cmp(&b.name))
    });
    candidates.dedup_by_key(|c| c.version());
    candidates
}

/// The indices of the newest kernel of each series, in order; the last kernel is one of them.
pub fn series_ends(line: &[Candidate]) -> Vec<usize> {
    let series = |index: usize| line.get(index).map(|c| c.version().series());
    (0..line.len())
        .filter(|index| series(*index) != series(index + 1))
        .collect()
}

/// The indices of the oldest and of the newest kernel of each series, in order, each once. A fix that went into a
/// series late is in its newest and not in its oldest, so the newest ones alone do not show it.
pub fn series_turns(line: &[Candidate]) -> Vec<usize> {
    let ends = series_ends(line);
    let starts = ends.iter().map(|end| end + 1).filter(|start| *start < line.len());
    let mut all: Vec<usize> = starts.chain(ends.iter().copied()).chain([0]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Keeps the newest of each series, and the two ends.
pub fn newest_of_series(line: Vec<Candidate>) -> Vec<Candidate> {
    let ends = series_ends(&line);
    let keep = |(index, candidate)| (index == 0 || ends.contains(&index)).then_some(candidate);
    line.into_iter().enumerate().filter_map(keep).collect()
}

/// The index of an end: a series means its newest kernel, as everywhere.
///
/// # Errors
/// [`LineError::NoEnd`].
pub fn index_of(line: &[Candidate], end: &str, flavour: Flavour) -> Result<usize, LineError> {
    let spec = Spec::parse_one(end)?;
    let fits = |c: &Candidate| match &spec.wanted {
        Wanted::Name(name) => {
            c.name == *name
                || (name.len() >= 8 && c.digest.as_ref().is_some_and(|d| d.starts_with(name.as_str())))
        }
        _ => spec.fits(c.version(), &c.name, c.flavour),
    };
    line.iter().rposition(fits).ok_or_else(|| LineError::NoEnd {
        end: end.to_owned(),
        flavour,
        there: line
            .iter()
            .map(Candidate::describe)
            .collect::<Vec<_>>()
            .join(", "),
    })
}

/// The part of a line between two ends, the ends included, and whether the first end is the older.
///
/// # Errors
/// [`LineError`].
pub fn between(
    line: &[Candidate],
    ends: [&str; 2],
    flavour: Flavour,
) -> Result<(Vec<Candidate>, bool), LineError> {
    let [first, second] = [
        index_of(line, ends[0], flavour)?,
        index_of(line, ends[1], flavour)?,
    ];
    if first == second {
        return Err(LineError::OneKernel(line[first].describe()));
    }
    Ok((
        line[first.min(second)..=first.max(second)].to_vec(),
        first < second,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, version: &str, package: &str, stored: bool) -> Candidate {
        Candidate {
            name: name.to_owned(),
            version: version.to_owned(),
            flavour: if name.contains("cloud") {
                Flavour::Cloud
            } else {
                Flavour::Full
            },
            digest: stored.then(|| format!("{:0>64}", version.replace('.', ""))),
            packages: vec![PackageRecord {
                package: format!("linux-image-{name}"),
                version: package.to_owned(),
                sha256: "0".repeat(64),
                size: 1,
            }],
        }
    }

    fn line() -> Vec<Candidate> {
        let all = vec![
            candidate("7.3.1-cloud", "7.3.1", "7.3.1-1", false),
            candidate("6.1.0-49-cloud", "6.1.172", "6.1.172-1", false),
            candidate("6.1.0-0.deb11.49-cloud", "6.1.172", "6.1.172-1~deb11u1", false),
            candidate("6.1.0-50-cloud", "6.1.175", "6.1.175-1", false),
            candidate("6.1.0-0.deb11.50-cloud", "6.1.175", "6.1.175-1~deb11u1", true),
            candidate("6.12.9-cloud", "6.12.9", "6.12.9-1", true),
            candidate("6.12.117-cloud", "6.12.117", "6.12.117-1", false),
            candidate("6.12.117", "6.12.117", "6.12.117-1", true),
            candidate("5.10.0-30-cloud", "5.10.259", "5.10.259-1", true),
        ];
        in_order(all, Flavour::Cloud)
    }

    fn names(line: &[Candidate]) -> String {
        line.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_version_is_there_once_in_order() {
        assert_eq!(
            names(&line()),
            "5.10.0-30-cloud 6.1.0-49-cloud 6.1.0-0.deb11.50-cloud 6.12.9-cloud 6.12.117-cloud 7.3.1-cloud"
        );
    }

    #[test]
    fn ends_are_named_as_everywhere() {
        let (part, forward) = between(&line(), ["6.1", "6.12"], Flavour::Cloud).unwrap();
        assert_eq!(names(&part), "6.1.0-0.deb11.50-cloud 6.12.9-cloud 6.12.117-cloud");
        assert!(forward);
        let (part, forward) = between(&line(), ["newest", "6.1.172"], Flavour::Cloud).unwrap();
        assert_eq!(part.len(), 5);
        assert!(!forward);
        let (part, _) = between(&line(), ["6.12.9-cloud", "7.3.1-cloud"], Flavour::Cloud).unwrap();
        assert_eq!(part.len(), 3);
        let series = newest_of_series(between(&line(), ["6.1.172", "7.3"], Flavour::Cloud).unwrap().0);
        assert_eq!(
            names(&series),
            "6.1.0-49-cloud 6.1.0-0.deb11.50-cloud 6.12.117-cloud 7.3.1-cloud"
        );
    }

    #[test]
    fn each_series_begins_and_ends() {
        assert_eq!(series_ends(&line()), [0, 2, 4, 5]);
        assert_eq!(series_turns(&line()), [0, 1, 2, 3, 4, 5]);
        let of_one = vec![candidate("6.1.1", "6.1.1", "1", true); 4];
        assert_eq!(series_turns(&of_one), [0, 3]);
    }

    #[test]
    fn wrong_ends_are_explained() {
        let error = |ends| between(&line(), ends, Flavour::Cloud).unwrap_err().to_string();
        assert!(
            error(["6.5", "7.3"]).contains("no cloud kernel `6.5`"),
            "{}",
            error(["6.5", "7.3"])
        );
        assert!(error(["6.5", "7.3"]).contains("6.1.0-49-cloud (6.1.172)"));
        assert!(error(["6.12", "6.12.117"]).contains("both ends are 6.12.117-cloud"));
        assert!(between(&line(), ["6.1..6.2", "7.3"], Flavour::Cloud).is_err());
        assert_eq!(flavour_of(["6.1", "7.3"]).unwrap(), Flavour::Cloud);
        assert_eq!(flavour_of(["6.1:full", "7.3"]).unwrap(), Flavour::Full);
        assert!(flavour_of(["6.1:full", "7.3:cloud"]).is_err());
    }
}
