//! `coldcut explore` without a kernel: which workloads there are, and what is wrong with bounds.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use coldcut_core::scenario::Scenario;

fn explore(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coldcut"));
    command.arg("explore").args(args).output().unwrap()
}

fn lines(args: &[&str]) -> Vec<String> {
    let output = explore(args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn parts_of_the_order_make_up_the_whole() {
    let all = lines(&["--seq", "1", "--list"]);
    assert!(all.len() > 400, "{}", all.len());
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    let first = lines(&["--seq", "1", "--list", "--count", "100"]);
    let rest = lines(&["--seq", "1", "--list", "--skip", "100"]);
    assert_eq!([first, rest].concat(), all);
    let drawn = lines(&["--seq", "2", "--list", "--sample", "--count", "7", "--seed", "3"]);
    assert_eq!(
        drawn,
        lines(&["--seq", "2", "--list", "--sample", "--count", "7", "--seed", "3"])
    );
    assert_ne!(
        drawn,
        lines(&["--seq", "2", "--list", "--sample", "--count", "7", "--seed", "4"])
    );
}

#[test]
fn workloads_are_written_as_scenarios() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("to");
    let to = to.to_str().unwrap();
    lines(&[
        "--seq", "3", "--sample", "--count", "5", "--fs", "btrfs", "-o", to,
    ]);
    lines(&["--random", "--count", "3", "-o", to]);
    let files: Vec<_> = fs::read_dir(to)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 8);
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let scenario = Scenario::parse("w", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert!(
            text.contains("\ncrash: all\n") && scenario.variants()[0].has_crash(),
            "{text}"
        );
    }
}

#[test]
fn bounds_that_are_wrong_are_an_error_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bounds.yaml");
    let with = |text: &str| {
        fs::write(&path, text).unwrap();
        explore(&["--seq", "1", "--list", "--bounds", path.to_str().unwrap()])
    };
    let output = with("files: [a]\noperations: [rename, nope]\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("bounds.yaml: ") && said.contains("nope") && said.contains("line 2"),
        "{said}"
    );
    let output = with("files: [a, b]\ndirectories: []\noperations: [rename]\npersist: [fsync_dir]\n");
    let listed = String::from_utf8(output.stdout).unwrap();
    // To a new name and over another; a file or a symbolic link; the directory is synced.
    assert_eq!(listed.lines().count(), 3, "{listed}");
}
