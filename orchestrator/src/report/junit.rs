//! JUnit XML: a suite a scenario, a test case a cell.

use std::time::Duration;

use coldcut_core::outcome::rounds::{Rounds, rounds};
use coldcut_core::outcome::verdict::Standing;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::file::Summary;
use super::table::{outcome_text, verdict_text};
use super::words::{evidence, rate};

/// The report as XML. What is not as declared is a failure; what is not known, or not done, is an error: neither passes.
pub fn render_junit(summary: &Summary) -> String {
    let mut report = Report::new("coldcut");
    let mut suites: Vec<TestSuite> = Vec::new();
    let mut add = |scenario: &str, case: TestCase| {
        let place = suites.iter().position(|suite| suite.name.as_str() == scenario);
        let place = place.unwrap_or_else(|| {
            suites.push(TestSuite::new(scenario));
            suites.len() - 1
        });
        suites[place].add_test_case(case);
    };
    for rounds in rounds(&summary.result.cells) {
        let scenario = rounds.cells[0].cell.scenario.clone();
        add(&scenario, case(&summary.run, &rounds));
    }
    for cell in summary.unfinished() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status
            .set_type("not-finished")
            .set_message("the run ended before this cell was done");
        let mut case = TestCase::new(format!("{} on {}", cell.variant, cell.kernels()), status);
        case.set_classname(cell.scenario.as_str());
        add(&cell.scenario, case);
    }
    report.add_test_suites(suites);
    report.to_string().unwrap_or_else(|error| {
        // Nothing that a summary can hold leads here; a reader must not take it for a report.
        format!("<!-- the report cannot be written: {error} -->\n")
    })
}

fn case(run: &str, rounds: &Rounds<'_>) -> TestCase {
    let cell = rounds.shown();
    let (declared, seen) = (outcome_text(&cell.declared), verdict_text(&cell.verdict));
    let shown = evidence(run, cell);
    let status = match rounds.standing() {
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
            status.set_description(shown.as_str());
            status
        }
        Standing::Inconclusive => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status
                .set_type("inconclusive")
                .set_message(format!("{seen}; declared: {declared}"))
                .set_description(shown.as_str());
            status
        }
        Standing::NotApplicable => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(seen.as_str());
            status
        }
    };
    let mut case = TestCase::new(
        format!("{} on {}", cell.cell.variant, cell.cell.kernels()),
        status,
    );
    let millis: u64 = rounds.cells.iter().flat_map(|cell| cell.millis.values()).sum();
    case.set_classname(cell.cell.scenario.as_str())
        .set_time(Duration::from_millis(millis));
    let states: u64 = rounds.cells.iter().map(|cell| cell.states.total).sum();
    let judged: u64 = rounds.cells.iter().map(|cell| cell.obligations).sum();
    let mut out = format!(
        "{seen}; declared: {declared}\nkernel {} ({})\n",
        cell.kernel.release, cell.kernel.digest
    );
    if let Some(other) = &cell.recovered_on {
        out.push_str(&format!("recovered on {} ({})\n", other.release, other.digest));
    }
    out.push_str(&format!("{states} crash states, {judged} expectations judged\n"));
    if rounds.cells.len() > 1 {
        out.push_str(&format!("{}\n", rate(rounds)));
    }
    out.push_str(&shown);
    case.set_system_out(out);
    case
}
