//! Live checks as the scenario file writes them.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::wanted::WantedShape;
use crate::outcome::verdict::ViolationKind;
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::names::Label;
use crate::scenario::yaml::units::{Factor, Size};

/// Options of `measure`: `of`, and where it must lie.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct MeasureShape {
    /// The number: `LABEL.FIGURE` or `LABEL.SERIES.STATISTIC`, such as `burst.writes.max`.
    pub(crate) of: At<String>,
    /// Exactly this.
    pub(crate) is: Option<At<LimitShape>>,
    /// This or more.
    pub(crate) at_least: Option<At<LimitShape>>,
    /// This or less.
    pub(crate) at_most: Option<At<LimitShape>>,
    /// What it is when it lies elsewhere; `measure` when not given.
    pub(crate) kind: Option<ViolationKind>,
}

/// Options of `assume`: `of`, and where it must lie for the rest to mean anything.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct AssumeShape {
    /// The number: `LABEL.FIGURE` or `LABEL.SERIES.STATISTIC`, such as `asleep.found`.
    pub(crate) of: At<String>,
    /// Exactly this.
    pub(crate) is: Option<At<LimitShape>>,
    /// This or more.
    pub(crate) at_least: Option<At<LimitShape>>,
    /// This or less.
    pub(crate) at_most: Option<At<LimitShape>>,
}

/// A number to compare with: a value, or another measured number with a factor.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_limit))]
pub(crate) struct LimitShape {
    /// A value: a duration, a size, a number, or an errno, as the number that it is compared with.
    pub(crate) limit: Option<At<String>>,
    /// Another measured number.
    pub(crate) of: Option<At<String>>,
    /// How many times it; 1 when not given.
    pub(crate) times: Option<At<Factor>>,
}

/// Options of `contrast`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ContrastShape {
    /// The arm that may show the hazard: where its number lies when it does.
    pub(crate) hazard: ArmShape,
    /// The arm that must not: where its number lies when nothing shows.
    pub(crate) control: ArmShape,
    /// What the hazard is; `stall` when not given.
    pub(crate) kind: Option<ViolationKind>,
}

/// One arm of a contrast.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ArmShape {
    /// The number.
    pub(crate) of: At<String>,
    /// Exactly this.
    pub(crate) is: Option<At<LimitShape>>,
    /// This or more.
    pub(crate) at_least: Option<At<LimitShape>>,
    /// This or less.
    pub(crate) at_most: Option<At<LimitShape>>,
}

/// Options of `returned`: one of `is`, `one_of` and `mix_of`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::one_of_is_one_of_mix_of))]
pub(crate) struct ReturnedShape {
    /// The label of the `read` step.
    pub(crate) step: At<Label>,
    /// This content.
    pub(crate) is: Option<At<WantedShape>>,
    /// One of these contents.
    pub(crate) one_of: Option<At<Vec<At<WantedShape>>>>,
    /// Any mixture of these contents, each in its place.
    pub(crate) mix_of: Option<At<Vec<At<WantedShape>>>>,
    /// With `len`: only this part of what was read is judged.
    pub(crate) offset: Option<At<Size>>,
    /// How many bytes of it.
    pub(crate) len: Option<At<Size>>,
    /// What it is when something else came; when not given, what the bytes say (`stale-read` for an older generation).
    pub(crate) kind: Option<ViolationKind>,
}

/// Options of `shows`: `any_of`, `none_of`, or both.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowsShape {
    /// The label of the step that found the text.
    pub(crate) step: At<Label>,
    /// Which of its texts, such as `stack`.
    pub(crate) text: At<String>,
    /// At least one of these is in it.
    pub(crate) any_of: Option<At<Vec<String>>>,
    /// None of these is in it.
    pub(crate) none_of: Option<At<Vec<String>>>,
    /// What it is when it is otherwise; `measure` when not given.
    pub(crate) kind: Option<ViolationKind>,
}

/// Options of `logged`: `any_of`, `none_of`, or both.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct LoggedShape {
    /// At least one of these is in the log.
    pub(crate) any_of: Option<At<Vec<String>>>,
    /// None of these is in the log.
    pub(crate) none_of: Option<At<Vec<String>>>,
    /// What it is when it is otherwise; `dmesg` when not given.
    pub(crate) kind: Option<ViolationKind>,
}
