//! What the end-to-end tests share. They need QEMU and the kernels that `make kernels` gets, and fail without them.

#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod differ;
pub mod scenarios;
pub mod turn;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use coldcut_core::outcome::result::{CellResult, RunResult};

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The binary under test, with its results in `results`, once this test may start machines.
pub fn coldcut(results: &Path) -> Command {
    turn::take();
    let mut command = Command::new(env!("CARGO_BIN_EXE_coldcut"));
    command.current_dir(root()).env("COLDCUT_RESULTS", results);
    command
}

/// Both outputs as text, for messages.
pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs scenarios and reads their results; the exit code too.
pub fn run(results: &Path, args: &[&str]) -> (i32, RunResult) {
    let output = coldcut(results).arg("run").args(args).output().unwrap();
    let path = results.join("latest/result.json");
    let json = std::fs::read(&path).unwrap_or_else(|e| panic!("no result ({e}): {}", text(&output)));
    (
        output.status.code().unwrap_or(-1),
        serde_json::from_slice(&json).unwrap(),
    )
}

/// One cell by variant and kernel.
pub fn cell<'a>(run: &'a RunResult, variant: &str, kernel: &str) -> &'a CellResult {
    run.cells
        .iter()
        .find(|c| c.cell.variant == variant && c.cell.kernel == kernel)
        .unwrap_or_else(|| panic!("no cell {variant} on {kernel}"))
}

/// Writes a scenario and runs it.
pub fn run_text(dir: &Path, scenario: &str, args: &[&str]) -> (i32, RunResult) {
    let path = dir.join("scenario.yaml");
    std::fs::write(&path, scenario).unwrap();
    let mut all = vec![path.to_str().unwrap()];
    all.extend(args);
    run(&dir.join("results"), &all)
}

/// Compiles `orchestrator/tests/scenarios/NAME.c` into a static program at `target`, whose directory is made.
pub fn compile(name: &str, target: &Path) {
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    let source = root().join(format!("orchestrator/tests/scenarios/{name}.c"));
    let mut command = Command::new("cc");
    command.args(["-static", "-O1", "-o"]).arg(target).arg(source);
    assert!(command.status().expect("cc is needed").success());
}
