//! Programs that judge what was recovered.

use coldcut_wire::ExecSpec;
use serde::Serialize;

use super::pattern::LinePattern;

/// A program that runs on the recovered and mounted filesystem, and knows what was acknowledged before the cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verifier {
    /// What to run; `root` is for the runner to fill from [`Programs::rootfs`](super::Programs::rootfs).
    pub spec: ExecSpec,
    /// Exit codes that say that a promise is broken. 0 says that all hold; any other says nothing.
    pub violates: Vec<i32>,
    /// Whether it is a function of what it reads and of what it is given. If not, no answer of it is inferred.
    pub deterministic: bool,
    /// How its output is judged besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dump: Option<Dump>,
}

/// A program's standard output as the list of all that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dump {
    /// What an acknowledged line looks like; others are not about what is dumped.
    pub each: LinePattern,
    /// The line in the dump for such a line.
    pub found: LinePattern,
    /// Whether what is there must be the first so many, in the order in which they were acknowledged.
    pub prefix: bool,
}
