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
