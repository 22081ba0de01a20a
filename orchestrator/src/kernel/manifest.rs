//! `manifest.json`: what one entry of the store is.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The newest format of entries that this coldcut reads. It writes 1 where every file is always there.
pub const FORMAT: u32 = 2;

/// Which build of a distribution's kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// Debian's cloud build: small, for virtual machines.
    Cloud,
    /// Debian's ordinary build: more filesystems (f2fs) and drivers.
    Full,
    /// A user's own.
    Custom,
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cloud => "cloud",
            Self::Full => "full",
            Self::Custom => "custom",
        })
    }
}

/// How QEMU enters the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootKind {
    /// `vmlinux`, entered through its PVH note.
    Pvh,
    /// `bzImage`, through the Linux boot protocol.
    BzImage,
}

/// One package that an entry came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRecord {
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Its SHA-256 as the signed package list has it, in hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Where an entry came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    /// Packages of a Debian archive.
    Debian {
        /// The suite.
        suite: String,
        /// The packages.
        packages: Vec<PackageRecord>,
    },
    /// Files that the user gave.
    File {
        /// The kernel's file name.
        file: String,
    },
}

/// One file of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its path below the entry's directory.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its BLAKE3 hash, in hexadecimal.
    pub blake3: String,
    /// Whether it is made of the entry's other files when it is wanted, and may be absent (see
    /// [`super::unpacked`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
}

/// What one entry of the store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of this file.
    pub format: u32,
    /// Digest of the entry: see [`Manifest::compute_digest`].
    pub digest: String,
    /// What the user calls it; a pulled kernel is called by its release.
    pub name: String,
    /// `uname -r`.
    pub release: String,
    /// Upstream version, `6.12.94`.
    pub version: String,
    /// `6.12`.
    pub series: String,
    /// The build.
    pub flavour: Flavour,
    /// How it boots.
    pub boot: BootKind,
    /// Why it does not boot through PVH, when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_note: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// Every file, sorted by path.
    pub files: Vec<FileRecord>,
    /// Module file names in load order, by set.
    pub sets: BTreeMap<String, Vec<String>>,
    /// When it was stored, in seconds since 1970.
    pub stored_at: u64,
    /// The coldcut that stored it.
    pub coldcut: String,
}

/// Read before the rest, so that a newer format is told from a damaged file.
#[derive(Debug, Deserialize)]
pub struct FormatOnly {
    /// Format of the manifest.
    pub format: u32,
}

impl Manifest {
    /// The digest that names an entry: BLAKE3 over the release, the way of booting, every file's path, size
    /// and hash, and every set's load order. It says what is booted; where it came from is not in it.
    pub fn compute_digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        // Each field is preceded by its length, so that no two manifests hash the same bytes.
        let mut field = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        field("coldcut kernel 1");
        field(&self.release);
        field(match self.boot {
            BootKind::Pvh => "pvh",
            BootKind::BzImage => "bz-image",
        });
        field(&self.files.len().to_string());
        for file in &self.files {
            field(&file.path);
            field(&file.size.to_string());
            field(&file.blake3);
        }
        field(&self.sets.len().to_string());
        for (name, order) in &self.sets {
            field(name);
            field(&order.len().to_string());
            for module in order {
                field(module);
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The package version for display, or "-" for a user's own kernel.
    pub fn package_version(&self) -> &str {
        match &self.origin {
            Origin::Debian { packages, .. } => packages.first().map_or("-", |p| p.version.as_str()),
            Origin::File { .. } => "-",
        }
    }

    /// Whether every path is a plain relative one below the entry: the manifest is data, not to be trusted.
    pub fn paths_are_plain(&self) -> bool {
        let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\\');
        self.files.iter().all(|f| f.path.split('/').all(plain))
            && self.sets.values().flatten().all(|m| plain(m) && !m.contains('/'))
    }
}
