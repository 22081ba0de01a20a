//! JUnit XML: a suite a scenario, a test case a cell.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use coldcut_core::outcome::result::CellRef;
use coldcut_core::outcome::rounds::{Rounds, rounds};
use coldcut_core::outcome::verdict::Standing;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::file::FileFormat;
use super::phrases::{evidence, outcome_text, rate, verdict_text};
use super::summary::Summary;

/// The report as the command line knows it.
pub(super) const FORMAT: FileFormat = FileFormat {
    name: "junit",
    help: "Also write JUnit XML to this file: a test case a cell",
    render: render_junit,
};

/// Suites by scenario, in the order in which they first came.
#[derive(Default)]
struct Suites {
    suites: Vec<TestSuite>,
    by_scenario: HashMap<String, usize>,
}

impl Suites {
    fn add(&mut self, scenario: &str, case: TestCase) {
        let index = *self.by_scenario.entry(scenario.to_owned()).or_insert_with(|| {
            self.suites.push(TestSuite::new(scenario));
            self.suites.len() - 1
        });
        self.suites[index].add_test_case(case);
    }
}

/// The report as XML. What is not as declared is a failure; what is not known, or not done, is an error: neither passes.
pub fn render_junit(summary: &Summary) -> String {
    let mut report = Report::new("coldcut");
    let mut suites = Suites::default();
    for rounds in rounds(&summary.result.cells) {
        suites.add(&rounds.cells[0].cell.scenario, case(&summary.run, &rounds));
    }
    for cell in summary.unfinished() {
        suites.add(&cell.scenario, unfinished(cell));
    }
    report.add_test_suites(suites.suites);
    report.to_string().unwrap_or_else(|error| {
        // Nothing that a summary can hold leads here; a reader must not take it for a report.
        format!("<!-- the report cannot be written: {error} -->\n")
    })
}

/// A case, still without its output and time.
fn bare_case(cell: &CellRef, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(format!("{} on {}", cell.variant, cell.kernels()), status);
    case.set_classname(cell.scenario.as_str());
    case
}

fn unfinished(cell: &CellRef) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status
        .set_type("not-finished")
        .set_message("the run ended before this cell was done");
    bare_case(cell, status)
}

fn case(run: &str, rounds: &Rounds<'_>) -> TestCase {
    let cell = rounds.shown();
    let shown = evidence(run, cell);
    let mut case = bare_case(&cell.cell, status(rounds, &shown));
    let millis: u64 = rounds.cells.iter().flat_map(|cell| cell.millis.values()).sum();
    case.set_time(Duration::from_millis(millis));
    case.set_system_out(output(rounds, &shown));
    case
}

fn status(rounds: &Rounds<'_>, shown: &str) -> TestCaseStatus {
    let cell = rounds.shown();
    let (declared, seen) = (outcome_text(&cell.declared), verdict_text(&cell.verdict));
    match rounds.standing() {
        Standing::AsDeclared | Standing::Observed => TestCaseStatus::success(),
        Standing::NotAsDeclared => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            if rounds.flaky().is_some() {
                status
                    .set_type("flaky")
                    .set_message(format!("flaky: {}; declared: {declared}", rate(rounds)));
            } else {
                status
                    .set_type("not-as-declared")
                    .set_message(format!("{seen}; declared: {declared}"));
            }
            status.set_description(shown);
            status
        }
        Standing::Inconclusive => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status
                .set_type("inconclusive")
                .set_message(format!("{seen}; declared: {declared}"))
                .set_description(shown);
            status
        }
        Standing::NotApplicable => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(seen.as_str());
            status
        }
    }
}

fn output(rounds: &Rounds<'_>, shown: &str) -> String {
    let cell = rounds.shown();
    let states: u64 = rounds.cells.iter().map(|cell| cell.states.total).sum();
    let judged: u64 = rounds.cells.iter().map(|cell| cell.obligations).sum();
    let mut out = format!(
        "{}; declared: {}\nkernel {} ({})\n",
        verdict_text(&cell.verdict),
        outcome_text(&cell.declared),
        cell.kernel.release,
        cell.kernel.digest
    );
    if let Some(other) = &cell.recovered_on {
        let _ = writeln!(out, "recovered on {} ({})", other.release, other.digest);
    }
    let _ = writeln!(out, "{states} crash states, {judged} expectations judged");
    if rounds.cells.len() > 1 {
        let _ = writeln!(out, "{}", rate(rounds));
    }
    out.push_str(shown);
    out
}
