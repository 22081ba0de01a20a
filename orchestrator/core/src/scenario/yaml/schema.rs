//! What derived schemas cannot say: parts of `scenarios/schema.json` for shapes that are read by hand.

use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Map, Value, json};

/// A scalar that is read as text.
pub(crate) struct Scalar;

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// A mapping with exactly one of an externally tagged enum's keys, and modifiers beside it.
pub(crate) fn exactly_one<const N: usize>(
    description: &str,
    tagged: &Schema,
    modifiers: [(&str, &str, Schema); N],
) -> Schema {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut bare = Vec::new();
    let variants = tagged
        .get("oneOf")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for variant in variants {
        let about = variant.get("description").cloned();
        if let Some(entries) = variant.get("properties").and_then(Value::as_object) {
            for (name, value) in entries {
                required.push(json!({ "required": [name] }));
                properties.insert(name.clone(), described(value.clone(), about.as_ref()));
                let null = |schema: &Value| schema.get("type") == Some(&json!("null"));
                let either = value.get("anyOf").and_then(Value::as_array);
                if either.is_some_and(|schemas| schemas.iter().any(null)) {
                    bare.push(json!({ "const": name, "description": about }));
                }
            }
        } else {
            let names: Vec<Value> = match (variant.get("const"), variant.get("enum")) {
                (Some(name), _) => vec![name.clone()],
                (_, Some(Value::Array(names))) => names.clone(),
                _ => Vec::new(),
            };
            for name in names {
                let nothing = json!({ "type": ["null", "object"], "maxProperties": 0 });
                required.push(json!({ "required": [name] }));
                properties.insert(
                    name.as_str().unwrap_or_default().to_owned(),
                    described(nothing, about.as_ref()),
                );
                bare.push(json!({ "const": name, "description": about }));
            }
        }
    }
    for (name, about, schema) in modifiers {
        properties.insert(name.to_owned(), described(schema.into(), Some(&json!(about))));
    }
    let object = json!({
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "oneOf": required,
    });
    if bare.is_empty() {
        return Schema::try_from(object).unwrap_or_default();
    }
    bare.insert(0, object);
    json_schema!({ "anyOf": bare })
}

/// A reference cannot carry a description of its own in draft-07, hence `allOf`.
fn described(value: Value, about: Option<&Value>) -> Value {
    match about {
        None => value,
        Some(about) => match value {
            Value::Object(mut object) if !object.contains_key("$ref") => {
                object.insert("description".to_owned(), about.clone());
                Value::Object(object)
            }
            other => json!({ "description": about, "allOf": [other] }),
        },
    }
}

fn or_scalar(schema: &mut Schema, what: &Value) {
    let object = std::mem::take(schema);
    let about = object.get("description").cloned();
    *schema = json_schema!({ "anyOf": [what, object] });
    if let Some(about) = about {
        schema.insert("description".to_owned(), about);
    }
}

/// The mapping, or the directory alone.
pub(crate) fn or_directory(schema: &mut Schema) {
    or_scalar(
        schema,
        &json!({ "type": "string", "description": "The directory alone" }),
    );
}

/// The mapping, or its path alone.
pub(crate) fn or_path(schema: &mut Schema) {
    or_scalar(
        schema,
        &json!({ "type": ["string", "number"], "description": "The path alone" }),
    );
}

/// The mapping, or the label alone.
pub(crate) fn or_label(schema: &mut Schema) {
    or_scalar(
        schema,
        &json!({ "type": ["string", "number"], "description": "A step's label" }),
    );
}

/// The mapping, or a value alone.
pub(crate) fn or_limit(schema: &mut Schema) {
    or_scalar(
        schema,
        &json!({ "type": ["string", "number"], "description": "A value" }),
    );
}

/// The mapping, or the task alone.
pub(crate) fn or_task(schema: &mut Schema) {
    or_scalar(
        schema,
        &json!({ "type": ["string", "number"], "description": "The task alone" }),
    );
}

/// The mapping, or the name alone.
pub(crate) fn or_name(schema: &mut Schema) {
    or_scalar(
        schema,
        &json!({ "type": ["string", "number"], "description": "The name alone" }),
    );
}

/// The enum, or `settle 6s`.
pub(crate) fn or_settle_text(schema: &mut Schema) {
    or_scalar(schema, &json!({ "type": "string", "pattern": "^settle .+$" }));
}

/// Exactly one of the three.
pub(crate) fn one_of_is_one_of_mix_of(schema: &mut Schema) {
    let one = [
        json!({ "required": ["is"] }),
        json!({ "required": ["one_of"] }),
        json!({ "required": ["mix_of"] }),
    ];
    schema.insert("oneOf".to_owned(), json!(one));
}
