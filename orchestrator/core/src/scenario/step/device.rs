//! Steps that control the disk under test.

use coldcut_wire::PatternName;
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::bounded;
use super::head::Head;
use super::lowering::Lowering;
use crate::faults::{Effect, Fault, Filter, Kind, Whose};
use crate::scenario::device::{latency, rate};
use crate::scenario::model::{Action, DeviceAction};
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::names::Label;
use crate::scenario::yaml::units::{Count, Millis, Rate, Size};

/// How long a request stays held unless the scenario says otherwise, in milliseconds.
const HELD_MS: u64 = 60_000;
/// How long `wait_held` waits unless it says otherwise, in milliseconds.
const WAIT_MS: u64 = 30_000;

/// Refuses what only the recording's disk can do.
fn check_recorded(head: &Head, cx: &Lowering<'_>) -> Lowered<()> {
    head.no_errno()?;
    if !cx.recorded {
        let message = format!(
            "`{}` belongs into `workload`: the setup runs undisturbed",
            head.key.value
        );
        return Err(Problem::new(&head.key.span, message).into());
    }
    Ok(())
}

/// Options of `hold`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct HoldShape {
    /// Its name, for `wait_held` and `release`.
    name: At<Label>,
    /// Which sort of request; `write` when not given.
    kind: Option<Kind>,
    /// Only requests with this data: a content such as `victim@1`, or any generation of a file, such as `victim`.
    of: Option<At<String>>,
    /// Only requests that touch the range of the disk from this byte on; 0 when only `len` is given.
    offset: Option<At<Size>>,
    /// Bytes of that range; to the disk's end when only `offset` is given.
    len: Option<At<Size>>,
    /// How many requests, or `all`; 1 when not given.
    count: Option<At<Count>>,
    /// How long a request may be held at most: then all are released and the cell is inconclusive; 60s when not given.
    within: Option<At<Millis>>,
}

impl HoldShape {
    pub(super) fn lower(&self, head: &Head, cx: &mut Lowering<'_>) -> Lowered<Action> {
        check_recorded(head, cx)?;
        let within_ms = self.within.as_ref().map_or(Ok(HELD_MS), bounded)?;
        let parts = Parts {
            name: &self.name,
            kind: self.kind,
            of: self.of.as_ref(),
            offset: self.offset.as_ref(),
            len: self.len.as_ref(),
            count: self.count.as_ref(),
        };
        Ok(Action::Device(DeviceAction::Arm {
            fault: parts.lower(Effect::Hold, cx)?,
            within_ms: Some(within_ms),
        }))
    }
}

/// Options of `fail`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct FailShape {
    /// Its name, for `release`.
    name: At<Label>,
    /// Which sort of request; `write` when not given.
    kind: Option<Kind>,
    /// Only requests with this data: a content such as `victim@1`, or any generation of a file, such as `victim`.
    of: Option<At<String>>,
    /// Only requests that touch the range of the disk from this byte on; 0 when only `len` is given.
    offset: Option<At<Size>>,
    /// Bytes of that range; to the disk's end when only `offset` is given.
    len: Option<At<Size>>,
    /// How many requests, or `all`; 1 when not given.
    count: Option<At<Count>>,
}

impl FailShape {
    pub(super) fn lower(&self, head: &Head, cx: &mut Lowering<'_>) -> Lowered<Action> {
        check_recorded(head, cx)?;
        let parts = Parts {
            name: &self.name,
            kind: self.kind,
            of: self.of.as_ref(),
            offset: self.offset.as_ref(),
            len: self.len.as_ref(),
            count: self.count.as_ref(),
        };
        Ok(Action::Device(DeviceAction::Arm {
            fault: parts.lower(Effect::Fail, cx)?,
            within_ms: None,
        }))
    }
}

/// The parts of a fault as a `hold` or a `fail` has them.
struct Parts<'a> {
    name: &'a At<Label>,
    kind: Option<Kind>,
    of: Option<&'a At<String>>,
    offset: Option<&'a At<Size>>,
    len: Option<&'a At<Size>>,
    count: Option<&'a At<Count>>,
}

impl Parts<'_> {
    fn lower(&self, effect: Effect, cx: &mut Lowering<'_>) -> Lowered<Fault> {
        cx.faults.check_new(self.name, cx.text)?;
        let kind = self.kind.unwrap_or(Kind::Write);
        let whose = match self.of {
            None => None,
            Some(of) if !matches!(kind, Kind::Write | Kind::Read) => {
                return Err(Problem::new(&of.span, "only writes and reads carry data").into());
            }
            Some(of) => Some(whose(of)?),
        };
        if let (Some(range), Kind::Flush) = (self.offset.or(self.len), kind) {
            return Err(Problem::new(&range.span, "a flush has no place on the disk").into());
        }
        let range = match (self.offset, self.len) {
            (None, None) => None,
            (offset, len) => {
                let start = offset.map_or(0, |o| o.value.0);
                let len = len.map_or(u64::MAX, |l| l.value.0);
                if len == 0 {
                    return Err(
                        Problem::new(&self.name.span, "an empty range is touched by no request").into(),
                    );
                }
                Some(start..start.saturating_add(len))
            }
        };
        let count = match self.count {
            None => Some(1),
            Some(count) if count.value.0 == Some(0) => {
                return Err(Problem::new(&count.span, "expected a number of at least 1, or `all`").into());
            }
            Some(count) => count.value.0,
        };
        let about = whose.clone().zip(self.of.map(|of| of.span.clone()));
        cx.faults.arm(self.name, effect, about);
        Ok(Fault {
            name: self.name.value.0.clone(),
            filter: Filter { kind, whose, range },
            effect,
            count,
        })
    }
}

/// Options of `wait_held`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_name))]
pub(super) struct WaitHeldShape {
    /// The hold.
    name: At<Label>,
    /// How many requests must be held; 1 when not given.
    count: Option<At<u32>>,
    /// How long to wait at most, after which the cell is inconclusive; 30s when not given.
    within: Option<At<Millis>>,
}

impl WaitHeldShape {
    pub(super) fn lower(&self, head: &Head, cx: &Lowering<'_>) -> Lowered<Action> {
        check_recorded(head, cx)?;
        if cx.faults.effect(&self.name)? != Effect::Hold {
            let message = format!("`{}` fails requests and holds none", self.name.value.0);
            return Err(Problem::new(&self.name.span, message).into());
        }
        let count = match &self.count {
            None => 1,
            Some(count) if count.value == 0 => {
                return Err(Problem::new(&count.span, "expected a number of at least 1").into());
            }
            Some(count) => count.value,
        };
        Ok(Action::Device(DeviceAction::WaitHeld {
            name: self.name.value.0.clone(),
            count,
            within_ms: self.within.as_ref().map_or(Ok(WAIT_MS), bounded)?,
        }))
    }
}

/// Options of `release`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_name))]
pub(super) struct ReleaseShape {
    /// The hold or the failure to end.
    name: At<Label>,
    /// Answer what is held with EIO instead of letting it proceed.
    #[serde(default)]
    fail: bool,
}

impl ReleaseShape {
    pub(super) fn lower(&self, head: &Head, cx: &mut Lowering<'_>) -> Lowered<Action> {
        check_recorded(head, cx)?;
        let effect = cx.faults.effect(&self.name)?;
        if self.fail && effect == Effect::Fail {
            let message = format!("`{}` holds nothing that could fail now", self.name.value.0);
            return Err(Problem::new(&self.name.span, message).into());
        }
        cx.faults.release(&self.name);
        Ok(Action::Device(DeviceAction::Release {
            name: self.name.value.0.clone(),
            fail: self.fail,
        }))
    }
}

/// Options of `set_device`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct SetDeviceShape {
    /// Bytes a second from now on, or `unlimited`; as it was when not given.
    bandwidth: Option<At<Rate>>,
    /// Added to each request from now on; as it was when not given.
    latency: Option<At<Millis>>,
}

impl SetDeviceShape {
    pub(super) fn lower(&self, head: &Head, cx: &Lowering<'_>) -> Lowered<Action> {
        check_recorded(head, cx)?;
        if self.bandwidth.is_none() && self.latency.is_none() {
            let message = "`set_device` needs `bandwidth` or `latency`";
            return Err(Problem::new(&head.key.span, message).into());
        }
        Ok(Action::Device(DeviceAction::Set {
            bandwidth: self.bandwidth.as_ref().map(rate).transpose()?,
            latency_ms: self.latency.as_ref().map(latency).transpose()?,
        }))
    }
}

fn whose(of: &At<String>) -> Lowered<Whose> {
    let text = &of.value;
    match text.rsplit_once('@') {
        None if text.is_empty() => {
            let message = "expected a content such as `victim@1`, or a file such as `victim`";
            Err(Problem::new(&of.span, message).into())
        }
        None => Ok(Whose::File(text.clone())),
        Some((file, generation)) if !file.is_empty() && !generation.is_empty() => {
            Ok(Whose::Content(PatternName {
                file: file.to_owned(),
                generation: generation.to_owned(),
            }))
        }
        Some(_) => {
            let message =
                format!("expected a content such as `victim@1`, or a file such as `victim`, found `{text}`");
            Err(Problem::new(&of.span, message).into())
        }
    }
}
