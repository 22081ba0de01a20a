//! Flags of open(2).

use coldcut_wire::WriteFlags;
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::yaml::error::{Lowered, Problem, Span};

/// A flag of open(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum FlagShape {
    /// `O_TRUNC`.
    Truncate,
    /// `O_APPEND`.
    Append,
    /// `O_SYNC`.
    Sync,
    /// `O_DSYNC`.
    Dsync,
    /// `O_DIRECT`: offset, length and chunk are multiples of 512.
    Direct,
    /// Submitted by io_submit(2) and waited for: with `direct`, the file is not locked meanwhile.
    Aio,
}

/// The flags that a list names.
pub(super) fn flags(list: &[FlagShape], create: bool) -> WriteFlags {
    let has = |flag| list.contains(&flag);
    WriteFlags {
        create,
        truncate: has(FlagShape::Truncate),
        append: has(FlagShape::Append),
        sync: has(FlagShape::Sync),
        dsync: has(FlagShape::Dsync),
        direct: has(FlagShape::Direct),
        aio: has(FlagShape::Aio),
    }
}

/// Refuses `aio`, which says how one write is made, not how a file is opened.
pub(super) fn not_aio(flags: &[FlagShape], at: &Span) -> Lowered<()> {
    if flags.contains(&FlagShape::Aio) {
        return Err(Problem::new(at, "only a `write` of a path can be `aio`").into());
    }
    Ok(())
}
