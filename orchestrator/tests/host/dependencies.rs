//! Whether what is depended on is what `deny.toml` allows, by the lock file and without the net: licences, banned
//! crates, crates that exist twice, and sources. `cargo deny check` knows more, but not every machine has it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::common;

/// The strings of a list in `deny.toml`.
fn list(policy: &str, section: &str, key: &str) -> BTreeSet<String> {
    let section = policy.split(&format!("[{section}]\n")).nth(1);
    let section = section.unwrap().split("\n[").next().unwrap();
    let (_, list) = section
        .split_once(&format!("\n{key} = ["))
        .or_else(|| section.split_once(&format!("{key} = [")))
        .unwrap();
    let list = list.split("\n]").next().unwrap();
    list.lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","))
        .map(str::to_owned)
        .collect()
}

/// Whether one may use a package under the licences that are allowed: one side of an `OR`, and all of an `AND`.
fn allowed(expression: &str, licences: &BTreeSet<String>) -> bool {
    // Older packages write `A/B` for `A OR B`.
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ( ");
    let mut parts = expression
        .split(" ( ")
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let any = |part: &str| part.split(" OR ").any(|id| licences.contains(id.trim()));
    if expression.contains(" ( ") {
        // Only groups joined by AND are known here; whatever else there may be is not allowed.
        parts.all(
            |part| match part.strip_prefix("AND ").or(part.strip_suffix(" AND")) {
                Some(id) => licences.contains(id),
                None => part == "AND" || any(part),
            },
        )
    } else {
        let all = |part: &str| part.split(" AND ").all(|id| licences.contains(id.trim()));
        expression.split(" OR ").any(all)
    }
}

/// The packages that the workspace is built and tested with on the machines that it is for.
fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(common::root())
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", common::text(&output));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let used: BTreeSet<&str> = nodes.iter().map(|node| node["id"].as_str().unwrap()).collect();
    let all = metadata["packages"].as_array().unwrap();
    let packages: Vec<Value> = all
        .iter()
        .filter(|package| used.contains(package["id"].as_str().unwrap()))
        .cloned()
        .collect();
    assert!(packages.len() > 100, "{}", packages.len());
    packages
}

#[test]
fn dependencies_are_what_the_policy_allows() {
    let policy = std::fs::read_to_string(common::root().join("deny.toml")).unwrap();
    let licences = list(&policy, "licenses", "allow");
    let banned = list(&policy, "bans", "deny");
    let twice = list(&policy, "bans", "skip");
    assert!(licences.contains("MIT") && banned.contains("openssl-sys"));
    let mut wrong = Vec::new();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages() {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let (name, version) = (text("name"), text("version"));
        if !allowed(&text("license"), &licences) {
            wrong.push(format!("{name} {version}: licence `{}`", text("license")));
        }
        if banned.contains(&name) {
            wrong.push(format!("{name} {version} is banned"));
        }
        // Of the workspace's own the source is null.
        if let Some(source) = package["source"].as_str()
            && !source.starts_with("registry+")
        {
            wrong.push(format!("{name} {version} comes from {source}"));
        }
        versions.entry(name).or_default().push(version);
    }
    for (name, versions) in &versions {
        match (versions.len() > 1, twice.contains(name)) {
            (true, false) => wrong.push(format!("{name} exists as {}", versions.join(" and "))),
            (false, true) => wrong.push(format!("{name} exists once; deny.toml need not skip it")),
            _ => {}
        }
    }
    for name in twice.iter().filter(|name| !versions.contains_key(*name)) {
        wrong.push(format!("{name} is not used; deny.toml need not skip it"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn licences_are_read_as_they_are_meant() {
    let licences = BTreeSet::from(["MIT", "Apache-2.0", "BSD-3-Clause"].map(str::to_owned));
    for yes in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-3.0",
        "MIT AND Apache-2.0",
        "(GPL-3.0 OR MIT) AND BSD-3-Clause",
        "BSD-3-Clause AND (GPL-3.0 OR MIT)",
    ] {
        assert!(allowed(yes, &licences), "{yes}");
    }
    for no in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR Apache-2.0) AND GPL-3.0",
        "GPL-3.0 AND (MIT OR Apache-2.0)",
        "(MIT OR Apache-2.0) AND (GPL-3.0 OR GPL-2.0)",
        "(MIT) WITH GPL-3.0",
    ] {
        assert!(!allowed(no, &licences), "{no}");
    }
}
