//! Externally tagged enums, read from a key and its value.

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::de::{DeError, KeyDe, NodeDe};
use super::error::Sink;
use super::node::{Key, Node};

/// An externally tagged enum: the key names the variant, the value is its content.
pub(crate) struct Tagged<'a> {
    pub(crate) key: &'a Key,
    pub(crate) value: Option<&'a Node>,
    pub(crate) sink: &'a Sink,
}

impl<'de> EnumAccess<'de> for Tagged<'_> {
    type Error = DeError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), DeError> {
        let variant = seed
            .deserialize(KeyDe(self.key))
            .map_err(|e| e.at(&self.key.span))?;
        Ok((variant, self))
    }
}

impl<'a> Tagged<'a> {
    fn content(&self) -> Result<NodeDe<'a>, DeError> {
        let node = self
            .value
            .ok_or_else(|| DeError::new(format!("`{}` needs options", self.key.name)).at(&self.key.span))?;
        Ok(NodeDe {
            node,
            sink: self.sink,
        })
    }
}

impl<'de> VariantAccess<'de> for Tagged<'_> {
    type Error = DeError;

    fn unit_variant(self) -> Result<(), DeError> {
        match self.value {
            None => Ok(()),
            Some(node) => <()>::deserialize(NodeDe {
                node,
                sink: self.sink,
            })
            .map_err(|e| DeError {
                message: format!("`{}` {}", self.key.name, e.message),
                ..e
            }),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DeError> {
        seed.deserialize(self.content()?)
            .map_err(|e| e.at(&self.key.span))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, DeError> {
        self.content()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.content()?.deserialize_struct("", fields, visitor)
    }
}

impl<'de> Deserializer<'de> for Tagged<'_> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
