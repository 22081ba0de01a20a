//! The scenarios that the project ships are valid, and so is its schema.

use std::path::{Path, PathBuf};

use coldcut_core::scenario::{Scenario, schema};

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn yaml_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("the scenarios' directory is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_shipped_scenario_is_valid() {
    let mut files = Vec::new();
    yaml_files(&scenarios(), &mut files);
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        let name = file.display().to_string();
        let scenario = Scenario::parse(&name, &text).unwrap_or_else(|e| panic!("{e}"));
        assert!(!scenario.variants().is_empty(), "{name}");
    }
}

/// Run with `UPDATE=1` to rewrite the file.
#[test]
fn the_schema_is_current() {
    let path = scenarios().join("schema.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, schema()).expect("it can be written");
    }
    let found = std::fs::read_to_string(&path).expect("scenarios/schema.json is there");
    assert!(
        found == schema(),
        "scenarios/schema.json is not current: run the tests once with UPDATE=1"
    );
}

#[test]
fn the_readme_is_right() {
    let text = std::fs::read_to_string(scenarios().join("README.md")).expect("scenarios/README.md is there");
    let (_, rest) = text.split_once("```yaml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    Scenario::parse("README.md", example).unwrap_or_else(|e| panic!("{e}"));

    let schema: serde_json::Value = serde_json::from_str(&schema()).expect("JSON");
    let definitions = &schema["definitions"];
    let properties = |value: &serde_json::Value| -> Vec<String> {
        value["properties"]
            .as_object()
            .expect("properties")
            .keys()
            .cloned()
            .collect()
    };
    let mut names = properties(&schema);
    names.extend(properties(&definitions["Step"]["anyOf"][0]));
    names.extend(properties(&definitions["Expectation"]["anyOf"][0]));
    let kinds = definitions["ViolationKind"]["oneOf"].as_array().expect("kinds");
    names.extend(
        kinds
            .iter()
            .map(|k| k["const"].as_str().expect("a name").to_owned()),
    );
    assert!(names.len() > 60, "{}", names.len());
    for name in names {
        assert!(
            text.contains(&format!("`{name}")),
            "scenarios/README.md does not name `{name}`"
        );
    }
}
