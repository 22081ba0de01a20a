//! The scenario file's own shape. The doc comments here are what editors show from `scenarios/schema.json`.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::device::DeviceShape;
use super::expect::ExpectEntry;
use super::programs::RootfsShape;
use super::step::StepEntry;
use super::yaml::at::{At, Later, Named, OneOrMany};
use super::yaml::names::{KernelSpec, Label};
use super::yaml::units::{Millis, Size};
use crate::outcome::verdict::ViolationKind;

/// A coldcut scenario: a workload, where to cut the power, and what must have survived.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(title = "coldcut scenario"))]
pub(crate) struct Document {
    /// Version of this format: 1.
    pub(crate) format: At<u64>,
    /// Short name, used in reports and paths.
    pub(crate) name: At<Label>,
    /// What is tested, in one line.
    pub(crate) summary: Option<String>,
    /// The number of the war story that this reproduces, if it does.
    pub(crate) story: Option<u32>,
    /// Where the behaviour is documented or was reported.
    pub(crate) reference: Option<String>,
    /// The filesystem under test.
    pub(crate) filesystem: Option<Later<FilesystemShape>>,
    /// The disk that it is on.
    pub(crate) device: Option<Later<DeviceShape>>,
    /// Host directory (relative to this file) whose files `exec` steps can run.
    pub(crate) programs: Option<String>,
    /// A root file system for programs: a host directory (relative to this file) into which `exec` steps change their root, or
    /// Debian's packages.
    pub(crate) rootfs: Option<At<RootfsShape>>,
    /// Files that are added to a root file system of packages: their text by their path. One that begins with `#!` can be run.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Named<crate::scenario::yaml::schema::Scalar>>")
    )]
    pub(crate) files: Option<Named<String>>,
    /// Steps made durable (by unmounting) before the recording starts.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<StepEntry>>"))]
    pub(crate) setup: Option<Later<Vec<StepEntry>>>,
    /// Steps that are recorded.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<StepEntry>>"))]
    pub(crate) workload: Option<Later<Vec<StepEntry>>>,
    /// Where to cut the power; `barriers` when not given.
    pub(crate) crash: Option<Later<crate::crash::plan::CrashSpec>>,
    /// How the recording stops; `cut` when not given.
    pub(crate) end: Option<Later<EndShape>>,
    /// Kernels that recover what each kernel recorded; that kernel itself when not given.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<KernelSpec>>"))]
    pub(crate) recover_on: Option<Later<Vec<At<KernelSpec>>>>,
    /// What must hold after recovery.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<ExpectEntry>>"))]
    pub(crate) expect: Option<Later<Vec<ExpectEntry>>>,
    /// Who judges besides the expectations: `auto` does, in every variant with crash states, what follows from what the
    /// steps did and synced. Unlike the expectation `auto` it need not have anything to say.
    pub(crate) oracle: Option<OracleShape>,
    /// What the verdict will be; `holds` when not given.
    pub(crate) outcome: Option<Later<OutcomeShape>>,
    /// Versions of this scenario, each overriding parts of it; without any there is one, named `default`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Named<VariantShape>>"))]
    pub(crate) variants: Option<Named<Later<VariantShape>>>,
}

/// What a variant overrides. Lists are replaced whole; `filesystem` and `device` are overridden key by key.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct VariantShape {
    /// What is different here, in one line.
    pub(crate) summary: Option<String>,
    /// Keys of the filesystem to override.
    pub(crate) filesystem: Option<Later<FilesystemShape>>,
    /// Keys of the disk to override.
    pub(crate) device: Option<Later<DeviceShape>>,
    /// Replaces the directory whose files `exec` steps can run.
    pub(crate) programs: Option<String>,
    /// Replaces the root file system for programs.
    pub(crate) rootfs: Option<At<RootfsShape>>,
    /// Files to add to the root file system, or to replace.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Named<crate::scenario::yaml::schema::Scalar>>")
    )]
    pub(crate) files: Option<Named<String>>,
    /// Replaces the setup.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<StepEntry>>"))]
    pub(crate) setup: Option<Later<Vec<StepEntry>>>,
    /// Replaces the workload.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<StepEntry>>"))]
    pub(crate) workload: Option<Later<Vec<StepEntry>>>,
    /// Replaces the crash plan.
    pub(crate) crash: Option<Later<crate::crash::plan::CrashSpec>>,
    /// Replaces how the recording stops.
    pub(crate) end: Option<Later<EndShape>>,
    /// Replaces the kernels that recover.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<KernelSpec>>"))]
    pub(crate) recover_on: Option<Later<Vec<At<KernelSpec>>>>,
    /// Replaces what must hold.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<ExpectEntry>>"))]
    pub(crate) expect: Option<Later<Vec<ExpectEntry>>>,
    /// Replaces what the verdict will be.
    pub(crate) outcome: Option<Later<OutcomeShape>>,
}

/// Who judges besides the expectations.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum OracleShape {
    /// The rules that the filesystem promises in its mode (docs/oracle.md).
    Auto,
}

/// A filesystem to make, or an image of one.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct FilesystemShape {
    /// Type, as mount(8) names it.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::filesystem::FsType>"))]
    pub(crate) r#type: Option<At<String>>,
    /// Size of the disk.
    pub(crate) size: Option<At<Size>>,
    /// Options for mkfs, one argument each.
    pub(crate) mkfs: Option<At<Vec<String>>>,
    /// Host file (relative to this file) with a filesystem of your own, instead of `size` and `mkfs`.
    pub(crate) image: Option<At<String>>,
    /// Disks beside the first: the journal of ext3 or ext4, the log of xfs, more members of a btrfs. A power cut takes from
    /// each what was written to it and not flushed on it.
    pub(crate) disks: Option<At<Vec<DiskShape>>>,
    /// The filesystem's own mount options, comma-separated, such as `data=ordered,commit=1`.
    pub(crate) mount: Option<At<String>>,
    /// Generic mount flags.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<super::model::MountFlag>>"))]
    pub(crate) flags: Option<Vec<At<String>>>,
    /// After the power cut, before the mount, let e2fsck repair it (`e2fsck -f -y`), as a boot does where there is no
    /// journal; false when not given.
    pub(crate) repair: Option<At<bool>>,
}

/// A disk beside the first.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct DiskShape {
    /// What the filesystem uses it for: `journal` (ext3, ext4), `log` (xfs) or `member` (btrfs).
    pub(crate) r#use: At<String>,
    /// Its size.
    pub(crate) size: At<Size>,
    /// Whether it does what a flush asks for; `heeded` when not given.
    pub(crate) flushes: Option<FlushesShape>,
}

/// What a disk does with flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum FlushesShape {
    /// What was written before a flush is durable when the flush completes.
    Heeded,
    /// They are acknowledged, and nothing becomes durable: a disk that lies.
    Ignored,
}

/// How a recording stops.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", schemars(transform = super::yaml::schema::or_settle_text))]
pub(crate) enum EndShape {
    /// At the last step's acknowledgement.
    Cut,
    /// With an orderly unmount.
    Umount,
    /// So long after the last step, to let timers write back.
    Settle(At<Millis>),
}

/// What the verdict will be.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeShape {
    /// Every expectation holds in every crash state.
    Holds,
    /// A documented hazard: exactly these kinds of violation are seen.
    Violates(OneOrMany<ViolationKind>),
    /// Nothing is promised: what is seen is reported and not judged.
    Observed,
    /// What differs from kernel to kernel that records, by ranges of series: `..6.1`, `6.12`, `6.13..6.18`, `7.0..`.
    Kernels(Named<Box<At<OutcomeShape>>>),
    /// What differs from kernel to kernel that recovers, likewise; also within a range of `kernels`.
    RecoveredOn(Named<Box<At<OutcomeShape>>>),
}
