//! One entry of a list of steps: read, and lowered.

#[cfg(feature = "schema")]
use std::borrow::Cow;

#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::head::Head;
use super::lowering::Lowering;
use super::shape::StepShape;
use crate::recording::mark::StepName;
use crate::scenario::model::Step;
use crate::scenario::yaml::entry::{split, variants};
use crate::scenario::yaml::error::{Problem, Sink, line_of};
#[cfg(feature = "schema")]
use crate::scenario::yaml::names::Label;
use crate::scenario::yaml::node::{Node, Value};
#[cfg(feature = "schema")]
use crate::scenario::yaml::schema::exactly_one;
#[cfg(feature = "schema")]
use crate::scenario::yaml::units::Ending;

/// A step and its modifiers.
#[derive(Debug)]
pub(crate) struct StepEntry {
    head: Head,
    shape: StepShape<Self>,
    /// The steps of a `start`.
    steps: Vec<Self>,
}

/// Modifiers of steps.
const STEP_MODIFIERS: &[&str] = &["label", "errno"];

/// The keys of all steps.
pub(crate) fn step_names() -> &'static [&'static str] {
    variants::<StepShape<StepEntry>>()
}

/// Lowers all steps; those that are wrong are left out and in the sink.
pub(crate) fn lower(entries: &[StepEntry], cx: &mut Lowering<'_>) -> Vec<Step> {
    let steps = list(entries, cx);
    cx.tasks.at_the_end(cx.sink);
    cx.traces.at_the_end(cx.sink);
    steps
}

fn list(entries: &[StepEntry], cx: &mut Lowering<'_>) -> Vec<Step> {
    entries.iter().filter_map(|entry| entry.lower(cx)).collect()
}

impl StepEntry {
    /// Reads one entry; what is wrong goes to the sink.
    pub(crate) fn read(node: &Node, sink: &Sink) -> Option<Self> {
        let split = split(node, sink, "step", step_names(), STEP_MODIFIERS)?;
        let (label, errno) = (split.modifier("label", sink), split.modifier("errno", sink));
        let shape = split.main(sink)?;
        let steps = if let StepShape::Start(_) = &shape {
            Self::read_list(split.value, "steps", sink)?
        } else {
            Vec::new()
        };
        let head = Head {
            key: split.key(),
            label: label?,
            errno: errno?,
        };
        split.sound.then_some(Self { head, shape, steps })
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

    fn lower(&self, cx: &mut Lowering<'_>) -> Option<Step> {
        let index = cx.count;
        cx.count += 1;
        let label = self.label(cx);
        let action = match self.shape.lower(&self.head, cx, &|cx| list(&self.steps, cx)) {
            Ok(action) => action,
            Err(problem) => {
                cx.sink.push(*problem);
                return None;
            }
        };
        let Head { key, errno, .. } = &self.head;
        let labelled = label.is_some();
        let name = label.unwrap_or_else(|| format!("{}#{index}", key.value));
        Some(Step {
            name: StepName { index, name },
            labelled,
            action,
            expected_errno: errno.as_ref().and_then(|e| e.value.0).map(|e| e.0),
            any_errno: errno.as_ref().is_some_and(|e| e.value.0.is_none()),
            line: line_of(cx.text, key.span.start),
        })
    }

    /// The step's label, new and allowed here.
    fn label(&self, cx: &mut Lowering<'_>) -> Option<String> {
        let mark = if let StepShape::Mark(name) = &self.shape {
            Some(name)
        } else {
            None
        };
        let label = match (mark, &self.head.label) {
            (Some(_), Some(label)) => {
                let message = "a `mark` is its own label";
                cx.sink
                    .push(Problem::new(&label.span, message).label("remove this"));
                return None;
            }
            (Some(label), None) | (None, Some(label)) => label,
            (None, None) => return None,
        };
        let name = &label.value.0;
        if !cx.recorded {
            let message = format!("the setup cannot name `{name}`: nothing of it is in the log");
            cx.sink
                .push(Problem::new(&label.span, message).help("labels and marks belong into `workload`"));
            return None;
        }
        if let Some(first) = cx.labels.get(name) {
            let message = format!("the label `{name}` is used twice");
            let line = line_of(cx.text, first.start);
            cx.sink
                .push(Problem::new(&label.span, message).label(format!("first used in line {line}")));
            return None;
        }
        cx.labels.insert(name.clone(), label.span.clone());
        Some(name.clone())
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
        let main = StepShape::<Self>::json_schema(generator);
        exactly_one("One step, and modifiers beside it", &main, [label, errno])
    }
}
