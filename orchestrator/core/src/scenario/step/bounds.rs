//! Numbers within the bounds that the agent accepts.

use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::units::{Millis, Size, show_size};

/// Longest sleep, settling or program, in milliseconds.
const MAX_MILLIS: u64 = 3_600_000;
/// Most bytes that one step writes.
const MAX_LEN: u64 = 1 << 40;
/// Most bytes of a single read(2) or write(2).
pub(super) const MAX_CALL: u64 = 64 << 20;
/// How long a measuring step may take unless it says otherwise, in milliseconds.
const WITHIN_MS: u64 = 120_000;

/// A length in bytes, not 0.
pub(super) fn nonzero(len: &At<Size>) -> Lowered<u64> {
    match len.value.0 {
        0 => Err(Problem::new(&len.span, "`len` must be more than 0 bytes").into()),
        n if n > MAX_LEN => Err(too_big("len", len)),
        n => Ok(n),
    }
}

/// An offset in bytes; 0 when not given.
pub(super) fn offset(offset: Option<&At<Size>>) -> Lowered<u64> {
    match offset {
        None => Ok(0),
        Some(o) if o.value.0 > MAX_LEN => Err(too_big("offset", o)),
        Some(o) => Ok(o.value.0),
    }
}

#[allow(clippy::unnecessary_box_returns)] // every error here is boxed
fn too_big(what: &str, size: &At<Size>) -> Box<Problem> {
    let (given, allowed) = (show_size(size.value.0), show_size(MAX_LEN));
    let message = format!("`{what}` is {given}, more than the {allowed} allowed");
    Problem::new(&size.span, message).into()
}

/// A duration in milliseconds, at most an hour.
pub(crate) fn bounded(millis: &At<Millis>) -> Lowered<u64> {
    if millis.value.0 > MAX_MILLIS {
        return Err(Problem::new(&millis.span, "at most 60min").into());
    }
    Ok(millis.value.0)
}

/// Bytes of one call.
pub(super) fn call(chunk: &At<Size>) -> Lowered<u32> {
    match chunk.value.0 {
        0 => Err(Problem::new(&chunk.span, "a chunk must be more than 0 bytes").into()),
        n if n > MAX_CALL => Err(Problem::new(&chunk.span, "a chunk is at most 64MiB").into()),
        n => Ok(n as u32),
    }
}

/// A pause in milliseconds; none when not given.
pub(super) fn pause(pause: Option<&At<Millis>>) -> Lowered<u32> {
    pause.map_or(Ok(0), |p| bounded(p).map(|ms| ms as u32))
}

/// The deadline of a measuring step, in milliseconds.
pub(super) fn within(within: Option<&At<Millis>>) -> Lowered<u64> {
    within.map_or(Ok(WITHIN_MS), bounded)
}
