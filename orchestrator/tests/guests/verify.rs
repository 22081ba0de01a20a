//! Programs judge what was recovered, by what was acknowledged.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use coldcut_core::outcome::result::{CellResult, RunResult};
use coldcut_core::outcome::verdict::{Standing, Verdict, ViolationKind};

use crate::common;

/// Compiles the program that writes and the one that judges into a new directory.
fn compile(programs: &Path) {
    fs::create_dir_all(programs).unwrap();
    for (source, name) in [("program.c", "recorder"), ("judge.c", "judge")] {
        let source = common::root().join("orchestrator/tests/scenarios").join(source);
        let mut compiler = Command::new("cc");
        compiler.args(["-static", "-O1", "-o"]).arg(programs.join(name));
        let status = compiler.arg(source).status();
        assert!(status.expect("cc is needed").success());
    }
}

/// Runs the variants of a scenario whose program acknowledges four records.
fn run(variants: &str) -> RunResult {
    let dir = tempfile::tempdir().unwrap();
    compile(&dir.path().join("programs"));
    let scenario = format!(
        "format: 1\nname: judged\nfilesystem: {{type: ext4, size: 16MiB}}\nprograms: programs\ncrash: all\n\
         workload:\n  - exec: {{argv: [recorder], mark_prefix: \"ack \"}}\n{variants}"
    );
    common::run_text(dir.path(), &scenario, &["-k", "6.12"]).1
}

fn cell<'a>(run: &'a RunResult, variant: &str) -> &'a CellResult {
    common::cell(run, variant, "6.12")
}

const EARLY: &str = "    workload:\n      - exec: {argv: [recorder, early], mark_prefix: \"ack \"}\n";

#[test]
fn a_program_judges_by_what_was_acknowledged() {
    let verify = "    expect: [{verify: {argv: [judge]}}]\n";
    let dump = "    expect: [{acknowledged: {argv: [judge, dump], each: \"{n}\", prefix: true}}]\n";
    let random =
        "    expect: [{verify: {argv: [judge], deterministic: false}}]\n    crash: {plan: all, budget: 60}\n";
    let violates = "    outcome: {violates: verify}\n";
    let result = run(&format!(
        "variants:\n  kept:\n{verify}  lost:\n{EARLY}{verify}{violates}  dumped:\n{dump}  dumped-lost:\n{EARLY}{dump}{violates}  \
         each:\n{EARLY}{random}{violates}"
    ));
    for variant in ["kept", "lost", "dumped", "dumped-lost", "each"] {
        let cell = cell(&result, variant);
        assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
        assert!(cell.obligations > 0, "{cell:#?}");
        let confirmed = cell
            .violations
            .iter()
            .all(|violation| violation.confirmed == Some(true));
        assert!(confirmed, "{cell:#?}");
    }
    let kept = cell(&result, "kept");
    assert!(kept.states.inferred > 0, "nothing was inferred: {kept:#?}");
    let lost = &cell(&result, "lost").violations[0];
    assert!(lost.evidence.contains("is lost"), "{lost:#?}");
    let lost = &cell(&result, "dumped-lost").violations[0];
    assert!(
        lost.evidence.contains("acknowledged lines not to be there"),
        "{lost:#?}"
    );
}

#[test]
fn a_program_that_misbehaves_costs_its_cell_and_nothing_else() {
    let with = |how: &str| {
        format!(
            "  {how}:\n    expect: [{{verify: {{argv: [judge, {how}], timeout: 2s}}}}]\n    outcome: observed\n"
        )
    };
    let misbehaving = ["hang", "flood", "memory", "unsure"];
    let variants: String = misbehaving.iter().map(|how| with(how)).collect();
    let missing = "  missing:\n    expect: [{verify: {argv: [nobody]}}]\n    outcome: observed\n";
    let forks = "  fork:\n    expect: [{verify: {argv: [judge, fork]}}]\n";
    let start = Instant::now();
    let result = run(&format!("variants:\n{variants}{missing}{forks}"));
    for variant in misbehaving.into_iter().chain(["missing"]) {
        let cell = cell(&result, variant);
        let inconclusive = matches!(cell.verdict, Verdict::Inconclusive { .. });
        assert!(inconclusive && cell.violations.is_empty(), "{cell:#?}");
    }
    let fork = cell(&result, "fork");
    assert_eq!(fork.standing, Standing::AsDeclared, "{fork:#?}");
    assert!(
        start.elapsed() < Duration::from_secs(240),
        "{:?}",
        start.elapsed()
    );
}

/// Without what it is given, the program could not tell.
#[test]
fn a_program_without_acknowledgements_is_no_obligation() {
    let result = run(
        "variants:\n  never:\n    crash: {at: [mounted]}\n    expect: [{verify: {argv: [judge]}}]\n    outcome: observed\n",
    );
    let never = cell(&result, "never");
    assert!(
        matches!(&never.verdict, Verdict::Inconclusive { .. }),
        "{never:#?}"
    );
    assert_eq!(never.obligations, 0);
    assert!(
        !never
            .violations
            .iter()
            .any(|violation| violation.kind == ViolationKind::Verify)
    );
}

/// The page that leads from nothing to a verdict does what it says.
#[test]
fn the_page_about_ones_own_program_is_right() {
    let page = fs::read_to_string(common::root().join("docs/own-program.md")).unwrap();
    let blocks = |kind: &str| -> Vec<String> {
        let start = format!("```{kind}\n");
        let parts = page.split(start.as_str()).skip(1);
        parts
            .map(|part| part.split("```").next().unwrap().to_owned())
            .collect()
    };
    let dir = tempfile::tempdir().unwrap();
    let sources = blocks("c");
    assert_eq!(sources.len(), 2);
    for (name, source) in ["counter.c", "judge.c"].into_iter().zip(sources) {
        fs::write(dir.path().join(name), source).unwrap();
    }
    let scenario = dir.path().join("counter.yaml");
    fs::write(&scenario, &blocks("yaml")[0]).unwrap();
    let commands: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .collect();
    let compiles = |line: &&&str| line.starts_with("mkdir ") || line.starts_with("cc ");
    for command in commands.iter().filter(compiles) {
        let status = Command::new("sh")
            .args(["-c", command])
            .current_dir(dir.path())
            .status();
        assert!(status.unwrap().success(), "{command}");
    }
    let results = dir.path().join("results");
    for line in [
        "coldcut check counter.yaml",
        "coldcut run counter.yaml --kernel 6.12",
    ] {
        assert!(commands.contains(&line), "{line}: {commands:?}");
        let mut coldcut = common::coldcut(&results);
        let output = coldcut
            .args(line.split(' ').skip(1))
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", common::text(&output));
    }
    let result = fs::read(results.join("latest/result.json")).unwrap();
    let result: RunResult = serde_json::from_slice(&result).unwrap();
    assert_eq!(cell(&result, "careful").standing, Standing::AsDeclared);
    let careless = cell(&result, "careless");
    let evidence = &careless.violations[0].evidence;
    assert!(evidence.contains("1 was promised, 0 is there"), "{evidence}");
}

/// The shipped scenario with a root of packages: a hazard, and its control.
#[test]
fn sqlite_keeps_what_its_journal_mode_promises() {
    let results = tempfile::tempdir().unwrap();
    let variants = "delete-full,delete-extra";
    let args = ["programs", "sqlite", "--kernel", "6.12", "--variant", variants];
    let output = common::coldcut(results.path()).args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", common::text(&output));
    let result = fs::read(results.path().join("latest/result.json")).unwrap();
    let result: RunResult = serde_json::from_slice(&result).unwrap();
    let control = cell(&result, "delete-extra");
    assert!(
        control.obligations > 20 && control.states.inferred > 0,
        "{control:#?}"
    );
    let packages = |note: &String| note.contains("libsqlite3-0=");
    assert!(control.notes.iter().any(packages), "{:?}", control.notes);
}
