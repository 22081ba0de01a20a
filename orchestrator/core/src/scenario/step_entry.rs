//! One entry of a list of steps.

#[cfg(feature = "schema")]
use std::borrow::Cow;

#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::step_doc::StepDoc;
use super::yaml::at::At;
use super::yaml::entry::{split, variants};
use super::yaml::error::{Problem, Sink};
use super::yaml::names::Label;
use super::yaml::node::{Node, Value};
#[cfg(feature = "schema")]
use super::yaml::schema::exactly_one;
use super::yaml::units::Ending;

/// A step and its modifiers.
#[derive(Debug)]
pub(crate) struct StepEntry {
    pub(crate) key: At<String>,
    pub(crate) doc: StepDoc,
    pub(crate) label: Option<At<Label>>,
    pub(crate) errno: Option<At<Ending>>,
    /// The steps of a `start`.
    pub(crate) steps: Vec<Self>,
}

/// Modifiers of steps.
const STEP_MODIFIERS: &[&str] = &["label", "errno"];

impl StepEntry {
    /// Reads one entry; what is wrong goes to the sink.
    pub(crate) fn read(node: &Node, sink: &Sink) -> Option<Self> {
        let split = split(node, sink, "step", variants::<StepDoc>(), STEP_MODIFIERS)?;
        let (label, errno) = (split.modifier("label", sink), split.modifier("errno", sink));
        let doc = split.main(sink)?;
        let steps = match &doc {
            StepDoc::Start(_) => Self::read_list(split.value, "steps", sink)?,
            _ => Vec::new(),
        };
        split.sound.then_some(Self {
            key: split.key(),
            doc,
            label: label?,
            errno: errno?,
            steps,
        })
    }

    /// The steps in a key of an entry's options; `None` when any of them is wrong.
    fn read_list(options: Option<&Node>, key: &str, sink: &Sink) -> Option<Vec<Self>> {
        let Value::Map(entries) = &options?.value else {
            return None; // has no such key, which the sink knows already
        };
        let (_, node) = entries.iter().find(|(k, _)| k.name == key)?;
        let Value::List(items) = &node.value else {
            sink.push(Problem::new(&node.span, "expected a list of steps"));
            return None;
        };
        let steps: Vec<Self> = items.iter().filter_map(|item| Self::read(item, sink)).collect();
        if items.is_empty() {
            sink.push(Problem::new(&node.span, "a task without steps has nothing to do"));
        }
        (!steps.is_empty() && steps.len() == items.len()).then_some(steps)
    }

    /// How many steps these are, those of tasks included.
    pub(crate) fn count(entries: &[Self]) -> usize {
        entries.iter().map(|entry| 1 + Self::count(&entry.steps)).sum()
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for StepEntry {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let label = (
            "label",
            "A name for this step, unique in the workload, for `after` and `before`",
            generator.subschema_for::<Label>(),
        );
        let errno = (
            "errno",
            "The step must fail with this errno; if it ends otherwise the cell is inconclusive. `any`: it may do either",
            generator.subschema_for::<Ending>(),
        );
        let main = StepDoc::json_schema(generator);
        exactly_one("One step, and modifiers beside it", &main, [label, errno])
    }
}
