//! Externally tagged enums, read from a key and its value.

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::de_error::DeError;
use super::error::Span;

/// An externally tagged enum: the key names the variant, the value is its content.
pub(crate) struct Tagged<'a, K, V> {
    pub(crate) key: K,
    /// Where the key stands.
    pub(crate) span: &'a Span,
    pub(crate) value: Option<V>,
}

impl<'de, K, C> EnumAccess<'de> for Tagged<'_, K, C>
where
    K: Deserializer<'de, Error = DeError> + Copy + AsRef<str>,
    C: Deserializer<'de, Error = DeError>,
{
    type Error = DeError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), DeError> {
        let variant = seed.deserialize(self.key).map_err(|e| e.at(self.span))?;
        Ok((variant, self))
    }
}

impl<K: AsRef<str>, C> Tagged<'_, K, C> {
    fn content(self) -> Result<C, DeError> {
        let needed = || DeError::new(format!("`{}` needs options", self.key.as_ref())).at(self.span);
        self.value.ok_or_else(needed)
    }
}

impl<'de, K, C> VariantAccess<'de> for Tagged<'_, K, C>
where
    K: AsRef<str>,
    C: Deserializer<'de, Error = DeError>,
{
    type Error = DeError;

    fn unit_variant(self) -> Result<(), DeError> {
        match self.value {
            None => Ok(()),
            Some(content) => <()>::deserialize(content).map_err(|e| DeError {
                message: format!("`{}` {}", self.key.as_ref(), e.message),
                ..e
            }),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DeError> {
        let span = self.span;
        if self.value.is_none() {
            // Options that may be left out as a whole.
            let needed = self.content().err().unwrap_or_else(|| DeError::new("no options"));
            return seed.deserialize(NoOptions(needed));
        }
        seed.deserialize(self.content()?).map_err(|e| e.at(span))
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

impl<'de, K, C> Deserializer<'de> for Tagged<'_, K, C>
where
    K: Deserializer<'de, Error = DeError> + Copy + AsRef<str>,
    C: Deserializer<'de, Error = DeError>,
{
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Options that are not there: nothing for an `Option`, an error for everything else.
struct NoOptions(DeError);

impl<'de> Deserializer<'de> for NoOptions {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DeError> {
        Err(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
