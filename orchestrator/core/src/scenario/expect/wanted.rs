//! A content that is expected.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::yaml::names::Content;

/// A content, or `zeros`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WantedShape {
    Zeros,
    Content(Content),
}

impl<'de> Deserialize<'de> for WantedShape {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "zeros" {
            return Ok(Self::Zeros);
        }
        Content::deserialize(serde::de::value::StringDeserializer::new(text)).map(Self::Content)
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for WantedShape {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Wanted".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let content = generator.subschema_for::<Content>();
        schemars::json_schema!({ "anyOf": [{ "const": "zeros", "description": "Zero bytes" }, content] })
    }
}
