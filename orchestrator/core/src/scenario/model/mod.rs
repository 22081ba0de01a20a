//! What a valid scenario means: everything resolved, checked and ready to run.

use std::collections::BTreeMap;

use coldcut_wire::{ExecSpec, Op, PatternName};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod check;
mod device;
mod pattern;
mod verifier;

use super::facts;
use crate::filesystem::{Configuration, FsType, Level, Rule};
use crate::outcome::verdict::Declared;
use crate::recording::mark::StepName;
pub use check::{Accept, Check, SizeRule, Wanted};
pub use device::{DeviceAction, DeviceSpec};
pub use pattern::{Captures, LinePattern};
pub use verifier::{Dump, Verifier};

/// A scenario whose every variant can be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// Its short name.
    pub name: String,
    /// What it tests, in one line; may be empty.
    pub summary: String,
    /// The war story that it reproduces.
    pub story: Option<u32>,
    /// Where the behaviour is documented or was reported; may be empty.
    pub reference: String,
    pub(crate) variants: Vec<Variant>,
}

/// One version of a scenario, fully resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Variant {
    /// Its name; `default` in a scenario without variants.
    pub name: String,
    /// The mode that it was put in; `None` in the scenario's own.
    #[serde(skip)]
    pub mode: Option<AppliedMode>,
    /// What is different here, in one line; may be empty.
    pub summary: String,
    /// The filesystem under test.
    pub filesystem: Filesystem,
    /// The disk that it is on.
    pub device: DeviceSpec,
    /// Where `exec` steps find their programs.
    pub programs: Programs,
    /// Steps made durable, by unmounting, before the recording starts. Nothing of them is in the log.
    pub setup: Vec<Step>,
    /// Steps that are recorded.
    pub workload: Vec<Step>,
    /// Where the power is cut.
    pub crash: crate::crash::plan::CrashSpec,
    /// How the recording stops.
    pub end: End,
    /// Kernels that recover what a kernel recorded, each once, as the store finds them or [`SAME`](super::SAME); none
    /// means the one that recorded. Always none where there is no crash.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recover_on: Vec<String>,
    /// What must hold after recovery.
    pub expect: Vec<Expectation>,
    /// What is declared of its verdict.
    pub outcome: Declared,
}

/// A mode in which a variant was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedMode {
    /// The mode's name.
    pub name: &'static str,
    /// The name of the variant in the scenario's own mode.
    pub own: String,
}

/// A filesystem to put under test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Filesystem {
    /// Its type.
    pub fstype: FsType,
    /// Where it comes from.
    pub source: FsSource,
    /// Disks beside the first, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<OtherDisk>,
    /// The filesystem's own mount options, comma-separated: mount(2)'s data.
    pub mount: String,
    /// Generic mount flags.
    pub flags: Vec<MountFlag>,
    /// Whether its checker repairs it after the power cut and before it is mounted, as a boot does. A filesystem without a
    /// journal needs that to be consistent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repair: bool,
}

impl Filesystem {
    /// Whether its checker cannot look at it, for it is on several disks.
    pub fn checker_is_blind(&self) -> bool {
        let several = self.fstype.several.as_ref();
        !self.disks.is_empty() && several.is_some_and(|several| several.checker.is_none())
    }
}

/// A disk beside the first. What it is for, its filesystem says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherDisk {
    /// Bytes, a multiple of 4096.
    pub size: u64,
    /// Whether it acknowledges flushes without heeding them: what was written to it stays volatile.
    pub ignores_flushes: bool,
}

/// Where a filesystem comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FsSource {
    /// It is made.
    Make {
        /// Bytes of the disk, a multiple of 4096.
        size: u64,
        /// Options for mkfs, one argument each.
        mkfs: Vec<String>,
    },
    /// A copy of a host file, named relative to the scenario's file.
    Image(String),
}

/// A generic mount flag, by its mount(8) name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum MountFlag {
    Ro,
    Sync,
    Dirsync,
    Noatime,
    Nodiratime,
    Relatime,
    Strictatime,
    Lazytime,
    Nosuid,
    Nodev,
    Noexec,
}

impl MountFlag {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Ro,
        Self::Sync,
        Self::Dirsync,
        Self::Noatime,
        Self::Nodiratime,
        Self::Relatime,
        Self::Strictatime,
        Self::Lazytime,
        Self::Nosuid,
        Self::Nodev,
        Self::Noexec,
    ];

    /// Its mount(8) name, as [`coldcut_wire::MountSpec`] takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ro => "ro",
            Self::Sync => "sync",
            Self::Dirsync => "dirsync",
            Self::Noatime => "noatime",
            Self::Nodiratime => "nodiratime",
            Self::Relatime => "relatime",
            Self::Strictatime => "strictatime",
            Self::Lazytime => "lazytime",
            Self::Nosuid => "nosuid",
            Self::Nodev => "nodev",
            Self::Noexec => "noexec",
        }
    }
}

/// Where programs come from. Directories of the host are relative to the scenario's file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Programs {
    /// A directory of files that can be run.
    pub programs: Option<String>,
    /// A root directory for them; the runner then sets [`ExecSpec::root`].
    pub rootfs: Option<Rootfs>,
    /// Files that are added to the root file system: their text by their path in it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// A root file system for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Rootfs {
    /// A directory of the host.
    Directory(String),
    /// Debian's packages, with all that they depend on.
    Debian {
        /// Of this suite, such as `trixie`.
        #[serde(rename = "debian")]
        suite: String,
        /// Their names, perhaps with `=VERSION`.
        packages: Vec<String>,
    },
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its index and name, as marks carry them.
    #[serde(serialize_with = "step_name")]
    pub name: StepName,
    /// Whether the scenario named it itself.
    pub labelled: bool,
    /// What it does.
    pub action: Action,
    /// It must fail with this errno. A step that ends otherwise makes the cell Inconclusive, never a pass.
    pub expected_errno: Option<i32>,
    /// It may succeed or fail: which it did is measured.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub any_errno: bool,
    /// Line in the scenario's text, from 1.
    #[serde(skip)]
    pub line: u32,
}

impl Step {
    /// The operation of the agent, if that is what it does.
    pub fn op(&self) -> Option<&Op> {
        match &self.action {
            Action::Op(op) => Some(op),
            Action::Exec { .. }
            | Action::Mark
            | Action::Start(_)
            | Action::Join { .. }
            | Action::Device(_)
            | Action::Leave { .. } => None,
        }
    }
}

fn step_name<S: serde::Serializer>(name: &StepName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&name.name)
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// An operation of the agent.
    Op(Op),
    /// A program in the guest.
    Exec {
        /// What to run; `root` is for the runner to fill from [`Programs::rootfs`].
        spec: ExecSpec,
        /// Lines of its standard output that begin so become [`crate::recording::mark::Mark::Line`], without the prefix.
        mark_prefix: Option<String>,
        /// Whether its standard output is a terminal.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pty: bool,
    },
    /// Nothing but its marks in the log.
    Mark,
    /// Steps that run from now on beside the ones that follow, one after the other.
    Start(Task),
    /// Waits until a task has done all of its steps.
    Join {
        /// Which task.
        task: String,
        /// How long at most, in milliseconds; longer is ETIMEDOUT, which makes the cell Inconclusive unless the step
        /// must fail so.
        within_ms: u64,
    },
    /// Controls the disk under test.
    Device(DeviceAction),
    /// Allows the recording to end while a task still runs.
    Leave {
        /// Which task.
        task: String,
    },
}

/// Steps that run in the background.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Task {
    /// Its name, unique among the steps it belongs to.
    pub name: String,
    /// Where they run in the guest: a lane that no other task uses at the same time, and not the main one.
    pub lane: u8,
    /// What it does, in order. None of these starts a task.
    pub steps: Vec<Step>,
}

/// All of these steps in the order of their indices: those of a task come after the step that starts it.
pub fn flatten(steps: &[Step]) -> impl Iterator<Item = &Step> + Clone {
    steps.iter().flat_map(|step| {
        let own = match &step.action {
            Action::Start(task) => task.steps.as_slice(),
            Action::Op(_)
            | Action::Exec { .. }
            | Action::Mark
            | Action::Join { .. }
            | Action::Device(_)
            | Action::Leave { .. } => &[],
        };
        std::iter::once(step).chain(own)
    })
}

/// How a recording stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// At the last step's acknowledgement.
    Cut,
    /// So many milliseconds after it.
    Settle {
        /// How many.
        millis: u64,
    },
    /// With an orderly unmount.
    Umount,
}

/// What must hold, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expectation {
    /// What must hold.
    pub check: Check,
    /// Judged only where this was acknowledged before the cut.
    pub after: Option<Moment>,
    /// Judged only where the step with this label had not begun at the cut.
    pub before: Option<String>,
    /// Line in the scenario's text, from 1.
    #[serde(skip)]
    pub line: u32,
}

/// A moment of a history.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// The step with this label succeeded.
    Step(String),
    /// A program printed this acknowledgement.
    Line(String),
}

impl Scenario {
    /// Its variants, in the order of the text; at least one.
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// The variant with this name.
    pub fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|v| v.name == name)
    }

    /// blake3 of the canonical form: equal for texts that differ only in comments, spelling, order of keys or use of
    /// anchors.
    pub fn digest(&self) -> blake3::Hash {
        // Serialising these types cannot fail: no maps with keys other than strings, no fallible impls.
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        let mut hasher = blake3::Hasher::new_derive_key("coldcut scenario format 1");
        hasher.update(&canonical);
        hasher.finalize()
    }
}

impl Variant {
    /// The recorded steps, those of its tasks included.
    pub fn steps(&self) -> impl Iterator<Item = &Step> + Clone {
        flatten(&self.workload)
    }

    /// Every pattern that may have been written, the setup's first, in the order of its first writing.
    pub fn patterns(&self) -> Vec<PatternName> {
        let mut all: Vec<PatternName> = Vec::new();
        for step in flatten(&self.setup).chain(self.steps()) {
            if let Some(written) = step.op().and_then(facts::writes)
                && !all.contains(written.pattern)
            {
                all.push(written.pattern.clone());
            }
        }
        all
    }

    /// Whether it has crash states. If it has none, its verdict comes from what was measured alone.
    pub fn has_crash(&self) -> bool {
        !self.crash.is_none()
    }

    /// Whether any of its steps waits for the journal.
    pub fn waits_for_commits(&self) -> bool {
        let mut ops = self.steps().filter_map(Step::op);
        ops.any(facts::waits_for_commit)
    }

    /// The programs that judge what was recovered, each with its expectation's place in the list.
    pub fn verifiers(&self) -> impl Iterator<Item = (usize, &Verifier)> {
        let all = self.expect.iter().enumerate();
        all.filter_map(|(index, expectation)| Some((index, expectation.check.verifier()?)))
    }

    /// Whether any expectation is about the data that files hold.
    pub fn wants_data(&self) -> bool {
        self.expect.iter().any(|expectation| expectation.check.on_data())
    }

    /// Whether any step's program acknowledges anything by lines.
    pub fn acknowledges_lines(&self) -> bool {
        let marks = |step: &Step| {
            matches!(
                step.action,
                Action::Exec {
                    mark_prefix: Some(_),
                    ..
                }
            )
        };
        self.steps().any(marks)
    }

    /// Whether any expectation asks for the filesystem checker.
    pub fn wants_fsck(&self) -> bool {
        let judged = |check: &Check| match check {
            Check::FsckClean => true,
            Check::Auto { level } => {
                let named = level.as_deref().and_then(Level::named);
                named
                    .unwrap_or_else(|| self.level())
                    .keeps(Rule::CheckerClean)
                    .is_some()
            }
            _ => false,
        };
        let can = !self.filesystem.checker_is_blind();
        self.expect
            .iter()
            .any(|e| e.check == Check::FsckClean || can && judged(&e.check))
    }

    /// Whether the automatic oracle judges it.
    pub fn is_judged_automatically(&self) -> bool {
        self.expect.iter().any(|e| matches!(e.check, Check::Auto { .. }))
    }

    /// What its filesystem promises after a power cut.
    pub fn level(&self) -> &'static Level {
        let mkfs = match &self.filesystem.source {
            FsSource::Make { mkfs, .. } => mkfs.as_slice(),
            FsSource::Image(_) => &[],
        };
        let configuration = Configuration {
            mkfs,
            mount: &self.filesystem.mount,
            write_cache: self.device.write_cache,
        };
        let lies = self.filesystem.disks.iter().any(|disk| disk.ignores_flushes);
        if lies {
            return Level::nothing();
        }
        (self.filesystem.fstype.level)(&configuration)
    }
}
