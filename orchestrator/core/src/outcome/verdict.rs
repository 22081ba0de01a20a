//! Verdicts: Pass, Violation or Inconclusive, and nothing else.

use serde::{Deserialize, Serialize};

use crate::outcome::kernels::{KernelRange, series};

/// What kind of promise was broken. Scenarios name it in `outcome: {violates: KIND}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ViolationKind {
    /// A name that must exist does not.
    Missing,
    /// A name that must not exist does.
    Unexpected,
    /// A name has another file type than it must.
    Type,
    /// A file has another size than it must.
    Size,
    /// A file holds another generation of its own content than it must, or another mixture of them, or holds it at other
    /// offsets; or a symlink points elsewhere.
    Content,
    /// A file holds bytes of another file.
    StaleData,
    /// A file holds bytes of an older generation of its own where nothing of it may be left.
    OldData,
    /// A file holds zeros where it must hold data.
    Zeros,
    /// A file holds bytes that nobody wrote.
    Garbage,
    /// A directory's listing is another than it must be.
    Listing,
    /// Mode, owner, link count, times or xattrs are others than they must be.
    Attributes,
    /// The filesystem does not mount, or does not unmount.
    Mount,
    /// The filesystem checker found something.
    Fsck,
    /// The kernel's log holds a line that it must not.
    Dmesg,
    /// Something could not be read.
    Unreadable,
    /// Something took, or waited, longer than it must.
    Stall,
    /// A write that was acknowledged is not there, without any crash.
    LostWrite,
    /// A read returned what had been overwritten before it began.
    StaleRead,
    /// Something that was measured is not what it must be.
    Measure,
    /// The kernel panicked, by an oops or a BUG of its own: while the workload ran, or while it recovered. A scenario does
    /// not have to forbid it.
    Panic,
    /// A program that judges what was recovered says that a promise is broken, or something that it acknowledged is not
    /// there.
    Verify,
}

/// One broken promise in one crash state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which kind.
    pub kind: ViolationKind,
    /// Which entry of the scenario's `expect` list, from 0; `None` for the mount that is expected without being
    /// written.
    pub expectation: Option<usize>,
    /// By which rule of the automatic oracle; `None` for what somebody wrote down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// One line: what was found instead of what, and when that was promised. The caller adds where the power was cut.
    pub evidence: String,
}

/// What judging one (content, cut) gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// How many expectations on paths were judged: none means that nothing was promised yet. Mounts, checkers and the
    /// kernel's log do not count (see [`crate::oracle`]).
    pub obligations: u32,
    /// Which entries of the `expect` list were judged, of any sort, from 0, each once.
    pub judged: Vec<usize>,
    /// What was broken.
    pub findings: Vec<Finding>,
    /// What was seen and is promised by nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<Finding>,
    /// Why this judgement may be incomplete. A cell with doubts and without findings is Inconclusive.
    pub doubts: Vec<String>,
}

/// The verdict on a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// At least one obligation was judged, all held, and every state was judged.
    Pass,
    /// At least one promise was broken.
    Violation {
        /// Every kind seen, sorted.
        kinds: Vec<ViolationKind>,
    },
    /// Nothing is known: a boot failure, a time-out, a tool's error, or no obligation was ever judged.
    Inconclusive {
        /// Why.
        cause: String,
    },
}

/// What a scenario declares of a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Declared {
    /// Every expectation holds in every crash state.
    Holds,
    /// A documented hazard: exactly these kinds of violation are seen.
    Violates(Vec<ViolationKind>),
    /// Nothing is promised: what is seen is reported, and neither right nor wrong.
    Observed,
    /// It depends on the kernel that recorded. The ranges do not overlap; a kernel in none of them has nothing declared.
    Kernels(Vec<(KernelRange, Declared)>),
    /// It depends on the kernel that recovered, likewise.
    RecoveredOn(Vec<(KernelRange, Declared)>),
}

/// How a cell's verdict compares with what was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// As declared.
    AsDeclared,
    /// Not as declared.
    NotAsDeclared,
    /// Nothing is known.
    Inconclusive,
    /// The kernel or mkfs refuses the mode that was asked for (see [`crate::scenario::modes`]), or in it a step that it does
    /// otherwise: there is nothing to know.
    NotApplicable,
    /// Known, and nothing was declared of it.
    Observed,
}

impl Declared {
    /// What is declared for these releases of the kernel that recorded and of the one that recovered, which may be the
    /// same; `None` when nothing is.
    pub fn on(&self, recorded: &str, recovered: &str) -> Option<&Self> {
        let (list, release) = match self {
            Self::Kernels(list) => (list, recorded),
            Self::RecoveredOn(list) => (list, recovered),
            plain => return Some(plain),
        };
        let series = series(release)?;
        let (_, outcome) = list.iter().find(|(range, _)| range.contains(series))?;
        outcome.on(recorded, recovered)
    }

    /// Whether it depends on a kernel, so that by itself it says nothing.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Kernels(_) | Self::RecoveredOn(_))
    }

    /// Compares a verdict with this declaration, which is one cell's (see [`Self::on`]): where it depends on a kernel,
    /// nothing is known.
    pub fn standing(&self, verdict: &Verdict) -> Standing {
        match (self, verdict) {
            (_, Verdict::Inconclusive { .. }) | (Self::Kernels(_) | Self::RecoveredOn(_), _) => {
                Standing::Inconclusive
            }
            (Self::Observed, _) => Standing::Observed,
            (Self::Holds, Verdict::Pass) => Standing::AsDeclared,
            (Self::Violates(declared), Verdict::Violation { kinds }) => {
                let mut declared = declared.clone();
                declared.sort_unstable();
                declared.dedup();
                if declared == *kinds {
                    Standing::AsDeclared
                } else {
                    Standing::NotAsDeclared
                }
            }
            _ => Standing::NotAsDeclared,
        }
    }
}

impl std::fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Unexpected => "unexpected",
            Self::Type => "type",
            Self::Size => "size",
            Self::Content => "content",
            Self::StaleData => "stale-data",
            Self::OldData => "old-data",
            Self::Zeros => "zeros",
            Self::Garbage => "garbage",
            Self::Listing => "listing",
            Self::Attributes => "attributes",
            Self::Mount => "mount",
            Self::Fsck => "fsck",
            Self::Dmesg => "dmesg",
            Self::Unreadable => "unreadable",
            Self::Stall => "stall",
            Self::LostWrite => "lost-write",
            Self::StaleRead => "stale-read",
            Self::Measure => "measure",
            Self::Panic => "panic",
            Self::Verify => "verify",
        })
    }
}
