//! What the scenario file says of the disk under test, and the steps that control it.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::yaml::at::At;
use super::yaml::names::Label;
use super::yaml::units::{Count, Millis, Rate, Size};
use crate::faults::Kind;

/// The disk under test while it is recorded. The setup runs at full speed.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceDoc {
    /// Bytes a second, for all requests together; `unlimited` when not given.
    pub(crate) bandwidth: Option<At<Rate>>,
    /// Added to each request; none when not given.
    pub(crate) latency: Option<At<Millis>>,
    /// Whether the disk has a volatile write cache; true when not given. Without one every write is durable when it
    /// completes.
    pub(crate) write_cache: Option<bool>,
}

/// Options of `set_device`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SetDeviceDoc {
    /// Bytes a second from now on, or `unlimited`; as it was when not given.
    pub(crate) bandwidth: Option<At<Rate>>,
    /// Added to each request from now on; as it was when not given.
    pub(crate) latency: Option<At<Millis>>,
}

/// Options of `hold`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldDoc {
    /// Its name, for `wait_held` and `release`.
    pub(crate) name: At<Label>,
    /// Which sort of request; `write` when not given.
    pub(crate) kind: Option<Kind>,
    /// Only requests with this data: a content such as `victim@1`, or any generation of a file, such as `victim`.
    pub(crate) of: Option<At<String>>,
    /// Only requests that touch the range of the disk from this byte on; 0 when only `len` is given.
    pub(crate) offset: Option<At<Size>>,
    /// Bytes of that range; to the disk's end when only `offset` is given.
    pub(crate) len: Option<At<Size>>,
    /// How many requests, or `all`; 1 when not given.
    pub(crate) count: Option<At<Count>>,
    /// How long a request may be held at most: then all are released and the cell is inconclusive; 60s when not given.
    pub(crate) within: Option<At<Millis>>,
}

/// Options of `fail`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct FailDoc {
    /// Its name, for `release`.
    pub(crate) name: At<Label>,
    /// Which sort of request; `write` when not given.
    pub(crate) kind: Option<Kind>,
    /// Only requests with this data: a content such as `victim@1`, or any generation of a file, such as `victim`.
    pub(crate) of: Option<At<String>>,
    /// Only requests that touch the range of the disk from this byte on; 0 when only `len` is given.
    pub(crate) offset: Option<At<Size>>,
    /// Bytes of that range; to the disk's end when only `offset` is given.
    pub(crate) len: Option<At<Size>>,
    /// How many requests, or `all`; 1 when not given.
    pub(crate) count: Option<At<Count>>,
}

/// Options of `wait_held`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = super::yaml::schema::or_name))]
pub(crate) struct WaitHeldDoc {
    /// The hold.
    pub(crate) name: At<Label>,
    /// How many requests must be held; 1 when not given.
    pub(crate) count: Option<At<u32>>,
    /// How long to wait at most, after which the cell is inconclusive; 30s when not given.
    pub(crate) within: Option<At<Millis>>,
}

/// Options of `release`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = super::yaml::schema::or_name))]
pub(crate) struct ReleaseDoc {
    /// The hold or the failure to end.
    pub(crate) name: At<Label>,
    /// Answer what is held with EIO instead of letting it proceed.
    #[serde(default)]
    pub(crate) fail: bool,
}
