//! One entry of a list of steps or expectations: exactly one key that says what it is, and modifiers beside it.

use std::borrow::Cow;

#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::at::At;
use super::de::{DeError, NodeDe};
use super::error::{Problem, Sink, Span};
use super::expect_doc::{ExpectDoc, MomentDoc};
use super::names::Label;
use super::node::{Key, Node, Value};
use super::step_doc::StepDoc;
use super::tagged::Tagged;
use super::units::Ending;

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

/// An expectation and its modifiers.
#[derive(Debug)]
pub(crate) struct ExpectEntry {
    pub(crate) key: At<String>,
    pub(crate) doc: ExpectDoc,
    pub(crate) after: Option<At<MomentDoc>>,
    pub(crate) before: Option<At<Label>>,
}

/// Modifiers of steps, with what the schema says of them.
pub(crate) const STEP_MODIFIERS: &[&str] = &["label", "errno"];
/// Modifiers of expectations.
pub(crate) const EXPECT_MODIFIERS: &[&str] = &["after", "before"];

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

impl ExpectEntry {
    /// Reads one entry; what is wrong goes to the sink.
    pub(crate) fn read(node: &Node, sink: &Sink) -> Option<Self> {
        let split = split(
            node,
            sink,
            "expectation",
            variants::<ExpectDoc>(),
            EXPECT_MODIFIERS,
        )?;
        let (after, before) = (split.modifier("after", sink), split.modifier("before", sink));
        let doc = split.main(sink)?;
        split.sound.then_some(Self {
            key: split.key(),
            doc,
            after: after?,
            before: before?,
        })
    }
}

/// An entry taken apart.
struct Split<'a> {
    key: Cow<'a, Key>,
    value: Option<&'a Node>,
    modifiers: Vec<(&'a Key, &'a Node)>,
    /// Whether nothing is wrong with its keys.
    sound: bool,
}

impl Split<'_> {
    fn key(&self) -> At<String> {
        At {
            value: self.key.name.clone(),
            span: self.key.span.clone(),
        }
    }

    fn main<T: for<'de> Deserialize<'de>>(&self, sink: &Sink) -> Option<T> {
        let tagged = Tagged {
            key: &self.key,
            value: self.value,
            sink,
        };
        T::deserialize(tagged)
            .map_err(|e| sink.push(e.into_problem(&self.key.span)))
            .ok()
    }

    /// `None` when it is wrong, `Some(None)` when it is not there.
    #[allow(clippy::option_option)] // wrong, not there, there
    fn modifier<T: for<'de> Deserialize<'de>>(&self, name: &str, sink: &Sink) -> Option<Option<T>> {
        let Some((key, node)) = self.modifiers.iter().find(|(k, _)| k.name == name) else {
            return Some(None);
        };
        read(node, &key.span, sink).map(Some)
    }
}

/// Reads a node as a type; what is wrong goes to the sink.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(node: &Node, outer: &Span, sink: &Sink) -> Option<T> {
    let result = T::deserialize(NodeDe { node, sink });
    result.map_err(|e| sink.push(e.into_problem(outer))).ok()
}

fn split<'a>(
    node: &'a Node,
    sink: &Sink,
    what: &str,
    names: &'static [&'static str],
    modifiers: &[&str],
) -> Option<Split<'a>> {
    let entries = match &node.value {
        Value::Scalar(name) => {
            let key = Key {
                name: name.clone(),
                span: node.span.clone(),
            };
            return Some(Split {
                key: Cow::Owned(key),
                value: None,
                modifiers: Vec::new(),
                sound: true,
            });
        }
        Value::Map(entries) => entries,
        _ => {
            let message = format!("expected a mapping with one {what} in it");
            sink.push(Problem::new(&node.span, message).help(format!("valid here: {}", names.join(", "))));
            return None;
        }
    };
    let mut found: Vec<&(Key, Node)> = Vec::new();
    let mut beside: Vec<(&Key, &Node)> = Vec::new();
    let mut sound = true;
    for entry in entries {
        let (key, value) = entry;
        let name = key.name.as_str();
        if beside.iter().any(|(k, _)| k.name == name) || found.iter().any(|(k, _)| k.name == name) {
            sink.push(Problem::new(&key.span, format!("`{name}` is given twice")));
            sound = false;
        } else if modifiers.contains(&name) {
            beside.push((key, value));
        } else if names.contains(&name) {
            found.push(entry);
        } else {
            let valid = names.iter().chain(modifiers).copied();
            sink.push(
                Problem::new(&key.span, format!("unknown {what} or option `{name}`")).nearest(name, valid),
            );
            sound = false;
        }
    }
    match found.as_slice() {
        [(key, value)] => {
            let value = (!matches!(value.value, Value::Null)).then_some(value);
            Some(Split {
                key: Cow::Borrowed(key),
                value,
                modifiers: beside,
                sound,
            })
        }
        [] if !sound => None,
        [] => {
            let message = format!("this entry has no {what}, only {}", modifiers.join(" and "));
            sink.push(Problem::new(&node.span, message).help(format!("valid here: {}", names.join(", "))));
            None
        }
        [(first, _), (second, _), ..] => {
            let message = format!("two {what}s in one entry: `{}` and `{}`", first.name, second.name);
            sink.push(
                Problem::new(&second.span, message)
                    .label("a second one")
                    .help(format!("start a new list entry: `- {}: …`", second.name)),
            );
            None
        }
    }
}

/// The variant names of an externally tagged enum, as serde derived them.
pub(crate) fn variants<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    struct Capture<'a>(&'a mut &'static [&'static str]);
    impl<'de> Deserializer<'de> for Capture<'_> {
        type Error = DeError;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DeError> {
            Err(DeError::new("not an enum"))
        }

        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _: &'static str,
            variants: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, DeError> {
            *self.0 = variants;
            Err(DeError::new("captured"))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
        }
    }
    let mut names: &'static [&'static str] = &[];
    let _ = T::deserialize(Capture(&mut names));
    names
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
        super::schema::exactly_one("One step, and modifiers beside it", &main, [label, errno])
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
            generator.subschema_for::<MomentDoc>(),
        );
        let before = (
            "before",
            "Judged only where the step with this label had not begun at the cut",
            generator.subschema_for::<Label>(),
        );
        let main = ExpectDoc::json_schema(generator);
        super::schema::exactly_one("One expectation, and when it is judged", &main, [after, before])
    }
}
