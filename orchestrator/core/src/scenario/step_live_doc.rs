//! Steps that measure, as the scenario file writes them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::at::At;
use super::names::{Content, Target};
use super::step_doc::FlagDoc;
use super::units::{Millis, Size};

/// Options of `burst`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BurstDoc {
    /// The file, or `fd:HANDLE`.
    pub(crate) path: At<Target>,
    /// Where in the file; 0 when not given.
    pub(crate) offset: Option<At<Size>>,
    /// How many bytes in all.
    pub(crate) len: At<Size>,
    /// Bytes a write(2) call.
    pub(crate) chunk: At<Size>,
    /// Which content; `PATH@0` when not given.
    pub(crate) content: Option<At<Content>>,
    /// How the file is opened, besides for writing and creating.
    #[serde(default)]
    pub(crate) flags: Vec<FlagDoc>,
    /// fsync after so many calls, and after the last.
    pub(crate) fsync_every: Option<At<u32>>,
    /// Pause between two calls.
    pub(crate) pause: Option<At<Millis>>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    pub(crate) within: Option<At<Millis>>,
}

/// Options of `read`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadDoc {
    /// The file, or `fd:HANDLE`.
    pub(crate) path: At<Target>,
    /// Where in the file, a multiple of 512; 0 when not given. What comes out of a pipe is taken to begin there.
    pub(crate) offset: Option<At<Size>>,
    /// How many bytes, at most 64MiB.
    pub(crate) len: At<Size>,
    /// Bytes a read(2) call; one call for all when not given.
    pub(crate) chunk: Option<At<Size>>,
    /// With `O_DIRECT`.
    #[serde(default)]
    pub(crate) direct: bool,
    /// How often; once when not given.
    pub(crate) times: Option<At<u32>>,
    /// Pause between two rounds.
    pub(crate) pause: Option<At<Millis>>,
    /// Given up after so long, which makes the cell inconclusive; 2min when not given.
    pub(crate) within: Option<At<Millis>>,
}
