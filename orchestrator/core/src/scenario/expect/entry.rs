//! One entry of a list of expectations.

#[cfg(feature = "schema")]
use std::borrow::Cow;

#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::shape::{ExpectShape, MomentShape};
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::entry::{split, variants};
use crate::scenario::yaml::error::Sink;
use crate::scenario::yaml::names::Label;
use crate::scenario::yaml::node::Node;
#[cfg(feature = "schema")]
use crate::scenario::yaml::schema::exactly_one;

/// An expectation and its modifiers.
#[derive(Debug)]
pub(crate) struct ExpectEntry {
    pub(crate) key: At<String>,
    pub(crate) shape: ExpectShape,
    pub(crate) after: Option<At<MomentShape>>,
    pub(crate) before: Option<At<Label>>,
}

/// Modifiers of expectations.
const EXPECT_MODIFIERS: &[&str] = &["after", "before"];

impl ExpectEntry {
    /// Reads one entry; what is wrong goes to the sink.
    pub(crate) fn read(node: &Node, sink: &Sink) -> Option<Self> {
        let split = split(
            node,
            sink,
            "expectation",
            variants::<ExpectShape>(),
            EXPECT_MODIFIERS,
        )?;
        let (after, before) = (split.modifier("after", sink), split.modifier("before", sink));
        let shape = split.main(sink)?;
        split.sound.then_some(Self {
            key: split.key(),
            shape,
            after: after?,
            before: before?,
        })
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for ExpectEntry {
    fn schema_name() -> Cow<'static, str> {
        "Expectation".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let after = (
            "after",
            "Judged only where this was acknowledged before the cut",
            generator.subschema_for::<MomentShape>(),
        );
        let before = (
            "before",
            "Judged only where the step with this label had not begun at the cut",
            generator.subschema_for::<Label>(),
        );
        let main = ExpectShape::json_schema(generator);
        exactly_one("One expectation, and when it is judged", &main, [after, before])
    }
}
