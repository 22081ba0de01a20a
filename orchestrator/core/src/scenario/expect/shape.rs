//! Expectations as the scenario file writes them.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::measured_shape::{
    AssumeShape, ContrastShape, LoggedShape, MeasureShape, ReturnedShape, ShowsShape,
};
use super::verify::{AcknowledgedShape, VerifyShape};
use super::wanted::WantedShape;
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::names::{Content, Label, Path};
use crate::scenario::yaml::units::{Mode, Size};

/// An expectation, by its key.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExpectShape {
    /// A file holds one of these contents, whole.
    Content(ContentShape),
    /// A name exists.
    Exists(ExistsShape),
    /// A name does not exist.
    Absent(AbsentShape),
    /// A file has this size.
    Size(SizeShape),
    /// A directory holds these names (lost+found in the root is ignored unless named).
    Listing(ListingShape),
    /// A file has these attributes.
    Attributes(AttributesShape),
    /// A file has this extended attribute.
    Xattr(XattrShape),
    /// A file holds only its own data of any generation, and zeros. A file's own data is what was written to a name
    /// that a rename or link connects with it, and the contents named after it.
    NoForeignData(ForeignShape),
    /// A file holds nothing of its own generations that are older than this one.
    NoOldData(OldDataShape),
    /// Everything that follows from what the steps did and synced, by the rules that the filesystem promises in its mode
    /// (docs/oracle.md).
    Auto(Option<AutoShape>),
    /// The filesystem mounts and unmounts. This is expected without being written; `false` waives it, for what is
    /// documented not to survive: then a state that does not mount is not judged any further.
    Mounts(bool),
    /// The filesystem checker finds nothing after recovery.
    Fsck(FsckShape),
    /// The kernel's log of the recovery holds none of these texts.
    DmesgFree(At<Vec<String>>),
    /// A program, run on what was recovered with what was acknowledged before the cut, finds that all promises hold.
    Verify(VerifyShape),
    /// A program's list of what is there has every acknowledged line, and nothing that was never begun.
    Acknowledged(AcknowledgedShape),
    /// Live: a measured number lies within bounds.
    Measure(MeasureShape),
    /// Live: what the rest is about came to pass at all, as a measured number shows. Where it did not, the cell is
    /// inconclusive.
    Assume(AssumeShape),
    /// Live: a hazard does not show in one arm while a control in the same guest stays quiet.
    Contrast(ContrastShape),
    /// Live: what a `read` step returned, each time.
    Returned(ReturnedShape),
    /// Live: words in a text that a step found, such as a kernel stack.
    Shows(ShowsShape),
    /// Live: words in the kernel's log from the mount to the last step.
    Logged(LoggedShape),
}

/// Options of `auto`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct AutoShape {
    /// The level by which it is judged, such as `posix`; that of the filesystem in its mode when not given.
    pub(crate) level: Option<At<String>>,
}

/// Options of `content`: one of `is`, `one_of` and `mix_of`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::one_of_is_one_of_mix_of))]
pub(crate) struct ContentShape {
    /// The file.
    pub(crate) path: At<Path>,
    /// This content, whole.
    pub(crate) is: Option<At<WantedShape>>,
    /// One of these contents, whole.
    pub(crate) one_of: Option<At<Vec<At<WantedShape>>>>,
    /// Any mixture of these contents, each in its place.
    pub(crate) mix_of: Option<At<Vec<At<WantedShape>>>>,
    /// With `offset`: only so many bytes from there are judged. Without: the file's whole size. When not given: up to
    /// the last byte that the workload writes of that content.
    pub(crate) len: Option<At<Size>>,
    /// Judge from here on only, whatever the file's size.
    pub(crate) offset: Option<At<Size>>,
    /// It may also be absent.
    #[serde(default)]
    pub(crate) or_absent: bool,
}

/// Options of `exists`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_path))]
pub(crate) struct ExistsShape {
    /// The name.
    pub(crate) path: At<Path>,
    /// Its type; any when not given.
    pub(crate) r#type: Option<TypeShape>,
    /// A symlink's target.
    pub(crate) target: Option<At<String>>,
}

/// A file type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub(crate) enum TypeShape {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

/// Options of `absent`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_path))]
pub(crate) struct AbsentShape {
    /// The name.
    pub(crate) path: At<Path>,
}

/// Options of `size`: `is`, `one_of`, or `min` and `max`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SizeShape {
    /// The file.
    pub(crate) path: At<Path>,
    /// Exactly this.
    pub(crate) is: Option<Size>,
    /// One of these.
    pub(crate) one_of: Option<Vec<Size>>,
    /// At least this.
    pub(crate) min: Option<Size>,
    /// At most this.
    pub(crate) max: Option<Size>,
    /// It may also be absent.
    #[serde(default)]
    pub(crate) or_absent: bool,
}

/// Options of `listing`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ListingShape {
    /// The directory; the root is `/`.
    pub(crate) path: At<Path>,
    /// Exactly these names.
    pub(crate) is: Option<At<Vec<String>>>,
    /// At least these names.
    pub(crate) contains: Option<At<Vec<String>>>,
    /// None of these names.
    pub(crate) excludes: Option<At<Vec<String>>>,
}

/// Options of `attributes`; what is not given is not judged.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct AttributesShape {
    /// The file.
    pub(crate) path: At<Path>,
    /// Permissions.
    pub(crate) mode: Option<Mode>,
    /// Owner.
    pub(crate) uid: Option<u32>,
    /// Group.
    pub(crate) gid: Option<u32>,
    /// Number of names.
    pub(crate) nlink: Option<u32>,
}

/// Options of `xattr`: `is` or `absent`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct XattrShape {
    /// The file.
    pub(crate) path: At<Path>,
    /// Name with its namespace.
    pub(crate) name: String,
    /// Its value.
    pub(crate) is: Option<String>,
    /// It is not there.
    #[serde(default)]
    pub(crate) absent: bool,
}

/// Options of `no_foreign_data`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_path))]
pub(crate) struct ForeignShape {
    /// The file, or `all` for every regular file (`/all` is the file of that name).
    pub(crate) path: At<String>,
}

/// Options of `no_old_data`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct OldDataShape {
    /// The file.
    pub(crate) path: At<Path>,
    /// The content that its data must not be older than. Older are those that a step before writes first.
    pub(crate) than: At<Content>,
}

/// What the checker must say.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum FsckShape {
    /// Nothing wrong.
    Clean,
}

/// When an expectation is judged from: a step's label, or a line that a program acknowledged something with.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_label))]
pub(crate) struct MomentShape {
    /// The step with this label was acknowledged.
    pub(crate) label: Option<At<Label>>,
    /// An `exec` step printed this line after its `mark_prefix`.
    pub(crate) line: Option<String>,
}
