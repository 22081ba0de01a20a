//! One entry of a list of steps or expectations: exactly one key that says what it is, and modifiers beside it.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::at::At;
use super::de::{KeyDe, NodeDe};
use super::de_error::DeError;
use super::error::{Problem, Sink, Span};
use super::node::{Key, Node, Value};
use super::tagged::Tagged;

/// An entry taken apart.
pub(crate) struct Split<'a> {
    key: Cow<'a, Key>,
    /// The options of what the entry is.
    pub(crate) value: Option<&'a Node>,
    modifiers: Vec<(&'a Key, &'a Node)>,
    /// Whether nothing is wrong with its keys.
    pub(crate) sound: bool,
}

impl Split<'_> {
    /// An entry that is nothing but its key.
    fn bare(name: &str, span: &Span) -> Self {
        Self {
            key: Cow::Owned(Key {
                name: name.to_owned(),
                span: span.clone(),
            }),
            value: None,
            modifiers: Vec::new(),
            sound: true,
        }
    }

    /// The key that says what the entry is.
    pub(crate) fn key(&self) -> At<String> {
        At {
            value: self.key.name.clone(),
            span: self.key.span.clone(),
        }
    }

    /// What the entry is, read as a type; what is wrong goes to the sink.
    pub(crate) fn main<T: for<'de> Deserialize<'de>>(&self, sink: &Sink) -> Option<T> {
        let tagged = Tagged {
            key: KeyDe(&self.key),
            span: &self.key.span,
            value: self.value.map(|node| NodeDe { node, sink }),
        };
        T::deserialize(tagged)
            .map_err(|e| sink.push(e.into_problem(&self.key.span)))
            .ok()
    }

    /// A modifier: `None` when it is wrong, `Some(None)` when it is not there.
    #[allow(clippy::option_option)] // wrong, not there, there
    pub(crate) fn modifier<T: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
        sink: &Sink,
    ) -> Option<Option<T>> {
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

/// Takes an entry apart, given the `names` of which it has exactly one; what is wrong goes to the sink.
pub(crate) fn split<'a>(
    node: &'a Node,
    sink: &Sink,
    what: &str,
    names: &'static [&'static str],
    modifiers: &[&str],
) -> Option<Split<'a>> {
    let entries = match &node.value {
        Value::Scalar(name) => return Some(Split::bare(name, &node.span)),
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
    if let [(key, value)] = found.as_slice() {
        return Some(Split {
            key: Cow::Borrowed(key),
            value: (!matches!(value.value, Value::Null)).then_some(value),
            modifiers: beside,
            sound,
        });
    }
    if sound || found.len() > 1 {
        let none = || {
            let message = format!("this entry has no {what}, only {}", modifiers.join(" and "));
            Problem::new(&node.span, message).help(format!("valid here: {}", names.join(", ")))
        };
        sink.push(two(&found, what).unwrap_or_else(none));
    }
    None
}

/// What is wrong with an entry that has several keys of which it may have one.
fn two(found: &[&(Key, Node)], what: &str) -> Option<Problem> {
    let [(first, _), (second, _), ..] = found else {
        return None;
    };
    let message = format!("two {what}s in one entry: `{}` and `{}`", first.name, second.name);
    Some(
        Problem::new(&second.span, message)
            .label("a second one")
            .help(format!("start a new list entry: `- {}: …`", second.name)),
    )
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
