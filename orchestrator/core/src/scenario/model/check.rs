//! What an expectation says, resolved.

use coldcut_wire::{EntryKind, PatternName};
use serde::Serialize;

use super::verifier::Verifier;
use crate::scenario::measured::MeasuredCheck;

/// What must hold. Paths are relative to the root, without a leading slash; the root is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // ExpectShape describes them
pub enum Check {
    Content {
        path: String,
        accept: Accept,
        or_absent: bool,
    },
    Exists {
        path: String,
        kind: Option<EntryKind>,
        target: Option<String>,
    },
    Absent {
        path: String,
    },
    Size {
        path: String,
        accept: SizeRule,
        or_absent: bool,
    },
    Listing {
        path: String,
        is: Option<Vec<String>>,
        contains: Vec<String>,
        excludes: Vec<String>,
    },
    Attributes {
        path: String,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        nlink: Option<u32>,
    },
    Xattr {
        path: String,
        name: String,
        /// `None`: it must not be there.
        value: Option<String>,
    },
    NoForeignData {
        /// `None`: every regular file.
        path: Option<String>,
    },
    NoOldData {
        path: String,
        than: PatternName,
    },
    /// What the steps did and synced, by the rules of the filesystem's level or of one that is named.
    Auto {
        #[serde(skip_serializing_if = "Option::is_none")]
        level: Option<String>,
    },
    Mounts {
        required: bool,
    },
    FsckClean,
    DmesgFree {
        texts: Vec<String>,
    },
    /// What a program says of what was recovered.
    Verify(Verifier),
    /// About what happened while the workload ran, whatever was found after a crash.
    // The name in a scenario's digest.
    #[serde(rename = "live")]
    Measured(MeasuredCheck),
}

impl Check {
    /// Whether it is about what a path holds, or about what was measured. Only such checks are obligations: a
    /// filesystem that merely mounts may have lost everything.
    pub fn on_path(&self) -> bool {
        !matches!(
            self,
            Self::Mounts { .. }
                | Self::FsckClean
                | Self::DmesgFree { .. }
                | Self::Measured(MeasuredCheck::Assume { .. })
        )
    }

    /// The program that it asks, if it asks one.
    pub fn verifier(&self) -> Option<&Verifier> {
        match self {
            Self::Verify(verifier) => Some(verifier),
            _ => None,
        }
    }

    /// Whether it looks at the data of files, beside their names and attributes.
    pub fn on_data(&self) -> bool {
        match self {
            Self::Auto { .. }
            | Self::Content { .. }
            | Self::NoForeignData { .. }
            | Self::NoOldData { .. } => true,
            Self::Exists { .. }
            | Self::Absent { .. }
            | Self::Size { .. }
            | Self::Listing { .. }
            | Self::Attributes { .. }
            | Self::Xattr { .. }
            | Self::Mounts { .. }
            | Self::FsckClean
            | Self::DmesgFree { .. }
            | Self::Verify(_)
            | Self::Measured(_) => false,
        }
    }

    /// Whether it is judged once, from what was measured while the workload ran.
    pub fn is_measured(&self) -> bool {
        matches!(self, Self::Measured(_))
    }
}

/// Which contents are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Accept {
    /// The whole file is one of these.
    Whole(Vec<Wanted>),
    /// This range (first byte, bytes) is one of these, wherever the file ends.
    Range {
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
        /// `None` is zeros.
        contents: Vec<Option<PatternName>>,
    },
    /// Every byte of this range is from one of these, each in its place.
    Mix {
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
        /// Whether the file must end with the range.
        whole: bool,
        /// `None` is zeros.
        contents: Vec<Option<PatternName>>,
    },
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// `None` is zeros.
    pub content: Option<PatternName>,
    /// The file's size.
    pub len: u64,
}

/// Which sizes are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeRule {
    /// One of these.
    OneOf(Vec<u64>),
    /// From the first to the second, both included.
    Between(u64, u64),
}
