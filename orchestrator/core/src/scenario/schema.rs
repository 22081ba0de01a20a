//! `scenarios/schema.json`: generated from the types that read scenarios, so that editors know what coldcut knows.

use schemars::generate::SchemaSettings;

use super::shape::Document;

/// The JSON Schema (draft-07, which editors' YAML support reads best) of a scenario, as pretty-printed text.
pub fn schema() -> String {
    let schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<Document>();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
