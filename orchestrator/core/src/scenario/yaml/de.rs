//! From located nodes to typed documents: a serde deserializer whose errors know where they are, and which goes on
//! past unknown keys so that all of them are reported at once.

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::at::{AT, LATER, Located};
use super::de_error::{DeError, described, unknown};
use super::error::{Problem, Sink};
use super::node::{Key, Node, Value};
use super::tagged::Tagged;

/// First fields that a bare scalar can stand for.
const SHORT: &[&str] = &["path", "plan", "label", "task", "name", "limit", "directory"];

/// A node being read. Unknown and repeated keys go to the sink; whatever else is wrong ends the reading.
#[derive(Clone, Copy)]
pub(crate) struct NodeDe<'a> {
    pub(crate) node: &'a Node,
    pub(crate) sink: &'a Sink,
}

impl<'a> NodeDe<'a> {
    /// Another node, read into the same sink.
    fn of<'b>(&self, node: &'b Node) -> NodeDe<'b>
    where
        'a: 'b,
    {
        NodeDe {
            node,
            sink: self.sink,
        }
    }

    fn unexpected(&self) -> Unexpected<'a> {
        match &self.node.value {
            Value::Null => Unexpected::Unit,
            Value::Scalar(text) => Unexpected::Str(text),
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
        }
    }

    fn map(&self, entries: &'a [(Key, Node)], fields: Option<&'static [&'static str]>) -> Entries<'a> {
        let mut wanted: Vec<(&Key, &Node)> = Vec::new();
        for (key, value) in entries {
            if fields.is_some_and(|f| !f.contains(&key.name.as_str())) {
                let error = unknown("key", &key.name, fields.unwrap_or_default());
                self.sink.push(error.into_problem(&key.span));
            } else if wanted.iter().any(|(k, _)| k.name == key.name) {
                self.sink
                    .push(Problem::new(&key.span, format!("`{}` is given twice", key.name)));
            } else {
                wanted.push((key, value));
            }
        }
        Entries {
            rest: wanted.into_iter(),
            value: None,
            sink: self.sink,
        }
    }
}

impl<'de> Deserializer<'de> for NodeDe<'_> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let result = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Scalar(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(Items {
                rest: items.iter(),
                sink: self.sink,
            }),
            Value::Map(entries) => visitor.visit_map(self.map(entries, None)),
        };
        result.map_err(|e| e.at(&self.node.span))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match &self.node.value {
            Value::Scalar(text) if text == "true" => visitor.visit_bool(true),
            Value::Scalar(text) if text == "false" => visitor.visit_bool(false),
            _ => Err(DeError::new(format!(
                "expected `true` or `false`, found {}",
                described(self.unexpected())
            ))
            .at(&self.node.span)),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let number = match &self.node.value {
            Value::Scalar(text) => text.parse::<u64>().ok(),
            _ => None,
        };
        match number {
            Some(n) => visitor.visit_u64(n).map_err(|e: DeError| e.at(&self.node.span)),
            None => Err(DeError::new(format!(
                "expected a whole number, found {}",
                described(self.unexpected())
            ))
            .at(&self.node.span)),
        }
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let number = match &self.node.value {
            Value::Scalar(text) => text.parse::<i64>().ok(),
            _ => None,
        };
        match number {
            Some(n) => visitor.visit_i64(n).map_err(|e: DeError| e.at(&self.node.span)),
            None => Err(DeError::new(format!(
                "expected a whole number, found {}",
                described(self.unexpected())
            ))
            .at(&self.node.span)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Map(entries) if entries.is_empty() => visitor.visit_unit(),
            _ => Err(DeError::new(format!(
                "takes no options, found {}",
                described(self.unexpected())
            ))
            .at(&self.node.span)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor
            .visit_newtype_struct(self)
            .map_err(|e| e.at(&self.node.span))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if name == AT || name == LATER {
            return visitor
                .visit_map(Located::new(self, self.node.id, &self.node.span, name == LATER))
                .map_err(|e| e.at(&self.node.span));
        }
        let result = match &self.node.value {
            Value::Map(entries) => visitor.visit_map(self.map(entries, Some(fields))),
            // `fsync: config` stands for `fsync: {path: config}`.
            Value::Scalar(_) if fields.first().is_some_and(|f| SHORT.contains(f)) => {
                visitor.visit_map(Short {
                    field: fields[0],
                    node: Some(self),
                })
            }
            _ => Err(DeError::new(format!(
                "expected a mapping with {}, found {}",
                fields.join(", "),
                described(self.unexpected())
            ))),
        };
        result.map_err(|e| e.at(&self.node.span))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match &self.node.value {
            Value::Scalar(text) => {
                // `settle 6s` stands for `{settle: 6s}`.
                let (name, rest) = match text.split_once(' ') {
                    Some((name, rest)) if variants.contains(&name) => (name, Some(rest)),
                    _ => (text.as_str(), None),
                };
                let span = self.node.span.clone();
                let value = rest.map(|rest| Node {
                    id: self.node.id,
                    span: span.clone(),
                    value: Value::Scalar(rest.trim().to_owned()),
                });
                let key = Key {
                    name: name.to_owned(),
                    span,
                };
                visitor.visit_enum(Tagged {
                    key: KeyDe(&key),
                    span: &key.span,
                    value: value.as_ref().map(|node| self.of(node)),
                })
            }
            Value::Map(entries) if entries.len() == 1 => {
                let (key, value) = &entries[0];
                visitor.visit_enum(Tagged {
                    key: KeyDe(key),
                    span: &key.span,
                    value: Some(self.of(value)),
                })
            }
            _ => Err(DeError::new(format!(
                "expected one of {}, found {}",
                variants.join(", "),
                described(self.unexpected())
            ))),
        }
        .map_err(|e| e.at(&self.node.span))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 f64 char str string bytes byte_buf unit_struct seq tuple tuple_struct map
        identifier ignored_any
    }
}

struct Items<'a> {
    rest: std::slice::Iter<'a, Node>,
    sink: &'a Sink,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DeError> {
        let Some(node) = self.rest.next() else {
            return Ok(None);
        };
        seed.deserialize(NodeDe {
            node,
            sink: self.sink,
        })
        .map(Some)
        .map_err(|e| e.at(&node.span))
    }
}

struct Entries<'a> {
    rest: std::vec::IntoIter<(&'a Key, &'a Node)>,
    value: Option<&'a Node>,
    sink: &'a Sink,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = DeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DeError> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(KeyDe(key))
            .map(Some)
            .map_err(|e| e.at(&key.span))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DeError> {
        let node = self
            .value
            .take()
            .ok_or_else(|| DeError::new("a value was asked for twice"))?;
        seed.deserialize(NodeDe {
            node,
            sink: self.sink,
        })
        .map_err(|e| e.at(&node.span))
    }
}

/// A key being read.
#[derive(Clone, Copy)]
pub(crate) struct KeyDe<'a>(pub(crate) &'a Key);

impl AsRef<str> for KeyDe<'_> {
    fn as_ref(&self) -> &str {
        &self.0.name
    }
}

impl<'de> Deserializer<'de> for KeyDe<'_> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_str(&self.0.name)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let node = Node {
            id: u64::MAX,
            span: self.0.span.clone(),
            value: Value::Scalar(self.0.name.clone()),
        };
        let sink = Sink::default();
        NodeDe {
            node: &node,
            sink: &sink,
        }
        .deserialize_struct(name, fields, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A mapping of one scalar.
struct Short<'a> {
    field: &'static str,
    node: Option<NodeDe<'a>>,
}

impl<'de> MapAccess<'de> for Short<'_> {
    type Error = DeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DeError> {
        match self.node {
            Some(_) => seed
                .deserialize(de::value::StrDeserializer::new(self.field))
                .map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DeError> {
        let node = self
            .node
            .take()
            .ok_or_else(|| DeError::new("a value was asked for twice"))?;
        seed.deserialize(node)
    }
}
