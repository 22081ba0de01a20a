//! No test file is forgotten: each is a module of one of the test binaries.

use std::fs;
use std::path::Path;

/// Files and folders of Rust below `dir` that no `mod` beside them names.
fn forgotten(dir: &Path) -> Vec<String> {
    let read = |name: &str| fs::read_to_string(dir.join(name)).ok();
    let root = read("main.rs").or_else(|| read("mod.rs")).unwrap_or_default();
    let mut missing = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let has_code = path.join("mod.rs").is_file();
        let is_code = path.extension().is_some_and(|e| e == "rs") && !["main", "mod"].contains(&&*name);
        if has_code {
            missing.extend(forgotten(&path));
        }
        if (has_code || is_code)
            && !root.lines().any(|line| {
                line.trim() == format!("mod {name};") || line.trim() == format!("pub mod {name};")
            })
        {
            missing.push(path.display().to_string());
        }
    }
    missing
}

/// The crates with tests beside their sources, from the root of the workspace.
const CRATES: [&str; 4] = [
    "orchestrator",
    "orchestrator/core",
    "guest-agent",
    "guest-agent/wire",
];

#[test]
fn every_test_file_belongs_to_a_binary() {
    for of in CRATES {
        let of = crate::common::root().join(of);
        let manifest = fs::read_to_string(of.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("autotests = false"), "{}", of.display());
        for entry in fs::read_dir(of.join("tests")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let code = path.extension().is_some_and(|e| e == "rs");
            assert!(!code, "{} belongs to no binary", path.display());
            if path.join("main.rs").is_file() {
                let named = format!("path = \"tests/{name}/main.rs\"");
                assert!(manifest.contains(&named), "no [[test]] for {}", path.display());
                assert_eq!(forgotten(&path), Vec::<String>::new(), "no `mod` names these");
            }
        }
    }
}

#[test]
fn a_forgotten_file_shows() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("main.rs", "mod known;\n// mod commented;\n");
    write("known.rs", "");
    assert_eq!(forgotten(dir.path()), Vec::<String>::new());
    write("commented.rs", "");
    assert_eq!(forgotten(dir.path()).len(), 1);
}
