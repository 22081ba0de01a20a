//! The disk under test: what the scenario file says of it, checked.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::model::DeviceSpec;
use super::yaml::at::At;
use super::yaml::error::{Lowered, Problem, Sink};
use super::yaml::units::{Millis, Rate};

/// Longest latency, in milliseconds: more would only time out.
const MAX_LATENCY_MS: u64 = 10_000;

/// The disk under test while it is recorded. The setup runs at full speed.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceShape {
    /// Bytes a second, for all requests together; `unlimited` when not given.
    bandwidth: Option<At<Rate>>,
    /// Added to each request; none when not given.
    latency: Option<At<Millis>>,
    /// Whether the disk has a volatile write cache; true when not given. Without one every write is durable when it
    /// completes.
    write_cache: Option<bool>,
}

/// Bytes a second; `None` is no limit.
pub(super) fn rate(rate: &At<Rate>) -> Lowered<Option<u64>> {
    match rate.value.0 {
        Some(0) => Err(Problem::new(&rate.span, "a device that moves nothing would only time out").into()),
        rate => Ok(rate),
    }
}

/// Milliseconds added to each request.
pub(super) fn latency(latency: &At<Millis>) -> Lowered<u64> {
    if latency.value.0 > MAX_LATENCY_MS {
        return Err(Problem::new(&latency.span, "at most 10s").into());
    }
    Ok(latency.value.0)
}

/// Puts `over`'s keys in place of `base`'s and checks them.
pub(super) fn lower(base: Option<&DeviceShape>, over: Option<&DeviceShape>, sink: &Sink) -> DeviceSpec {
    let bandwidth = over
        .and_then(|d| d.bandwidth.clone())
        .or_else(|| base.and_then(|d| d.bandwidth.clone()));
    let slow = over
        .and_then(|d| d.latency.clone())
        .or_else(|| base.and_then(|d| d.latency.clone()));
    let write_cache = over
        .and_then(|d| d.write_cache)
        .or_else(|| base.and_then(|d| d.write_cache));
    let mut note = |problem: Box<Problem>| sink.push(*problem);
    DeviceSpec {
        bandwidth: bandwidth
            .map_or(Ok(None), |r| rate(&r))
            .map_err(&mut note)
            .unwrap_or_default(),
        latency_ms: slow
            .map_or(Ok(0), |l| latency(&l))
            .map_err(&mut note)
            .unwrap_or_default(),
        write_cache: write_cache.unwrap_or(true),
    }
}
