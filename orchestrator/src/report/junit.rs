//! JUnit XML: a suite for each scenario, a test case for each cell.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use coldcut_core::outcome::result::CellRef;
use coldcut_core::outcome::rounds::{Rounds, rounds};
use coldcut_core::outcome::verdict::Standing;

use super::file::FileFormat;
use super::phrases::{evidence, outcome_text, rate, verdict_text};
use super::summary::Summary;
use super::xml::Xml;

/// The report as the command line knows it.
pub(super) const FORMAT: FileFormat = FileFormat {
    name: "junit",
    help: "Also write JUnit XML to this file: a test case a cell",
    render: render_junit,
};

/// A scenario's cases, and how many there are of each kind.
struct Suite {
    name: String,
    cases: Xml,
    tests: usize,
    skipped: usize,
    failures: usize,
    errors: usize,
}

/// What came of a case.
enum Status<'a> {
    Success,
    Skipped {
        message: &'a str,
    },
    Failure {
        kind: &'a str,
        message: &'a str,
        details: &'a str,
    },
    /// Nothing is known.
    Error {
        kind: &'a str,
        message: &'a str,
        details: Option<&'a str>,
    },
}

/// Suites by scenario, in the order in which they first came.
#[derive(Default)]
struct Suites {
    suites: Vec<Suite>,
    by_scenario: HashMap<String, usize>,
}

impl Suites {
    fn of(&mut self, scenario: &str) -> &mut Suite {
        let new = self.suites.len();
        let index = *self.by_scenario.entry(scenario.to_owned()).or_insert(new);
        if index == new {
            self.suites.push(Suite::new(scenario));
        }
        &mut self.suites[index]
    }
}

impl Suite {
    fn new(scenario: &str) -> Self {
        Self {
            name: scenario.to_owned(),
            cases: Xml::part(2),
            tests: 0,
            skipped: 0,
            failures: 0,
            errors: 0,
        }
    }

    /// Adds a case: its cell, the seconds that it took, what came of it, and what there is to read.
    fn add(&mut self, cell: &CellRef, seconds: Option<f64>, status: &Status<'_>, output: Option<&str>) {
        let name = format!("{} on {}", cell.variant, cell.kernels());
        let time = seconds.map(|seconds| format!("{seconds:.3}"));
        let mut attributes = vec![("name", name.as_str()), ("classname", cell.scenario.as_str())];
        attributes.extend(time.as_deref().map(|time| ("time", time)));
        self.tests += 1;
        self.cases.open("testcase", &attributes);
        self.status(status);
        if let Some(output) = output {
            self.cases.text("system-out", &[], output);
        }
        self.cases.close("testcase");
    }

    fn status(&mut self, status: &Status<'_>) {
        match *status {
            Status::Success => {}
            Status::Skipped { message } => {
                self.skipped += 1;
                self.cases.empty("skipped", &[("message", message)]);
            }
            Status::Failure {
                kind,
                message,
                details,
            } => {
                self.failures += 1;
                let attributes = [("message", message), ("type", kind)];
                self.cases.text("failure", &attributes, details);
            }
            Status::Error {
                kind,
                message,
                details,
            } => {
                self.errors += 1;
                let attributes = [("message", message), ("type", kind)];
                match details {
                    Some(details) => self.cases.text("error", &attributes, details),
                    None => self.cases.empty("error", &attributes),
                }
            }
        }
    }
}

/// The report as XML. What is not as declared is a failure; what is not known, or not done, is an error: neither
/// passes.
pub fn render_junit(summary: &Summary) -> String {
    let mut suites = Suites::default();
    for rounds in rounds(&summary.result.cells) {
        let suite = suites.of(&rounds.cells[0].cell.scenario);
        add_case(suite, &summary.run, &rounds);
    }
    for cell in summary.unfinished() {
        let status = Status::Error {
            kind: "not-finished",
            message: "the run ended before this cell was done",
            details: None,
        };
        suites.of(&cell.scenario).add(cell, None, &status, None);
    }
    document(&suites.suites)
}

fn document(suites: &[Suite]) -> String {
    let sum = |of: fn(&Suite) -> usize| suites.iter().map(of).sum::<usize>().to_string();
    let mut xml = Xml::document();
    xml.open(
        "testsuites",
        &[
            ("name", "coldcut"),
            ("tests", &sum(|suite| suite.tests)),
            ("failures", &sum(|suite| suite.failures)),
            ("errors", &sum(|suite| suite.errors)),
        ],
    );
    for suite in suites {
        xml.open(
            "testsuite",
            &[
                ("name", &suite.name),
                ("tests", &suite.tests.to_string()),
                ("disabled", &suite.skipped.to_string()),
                ("errors", &suite.errors.to_string()),
                ("failures", &suite.failures.to_string()),
            ],
        );
        xml.add(&suite.cases);
        xml.close("testsuite");
    }
    xml.close("testsuites");
    xml.finish()
}

fn add_case(suite: &mut Suite, run: &str, rounds: &Rounds<'_>) {
    let cell = rounds.shown();
    let shown = evidence(run, cell);
    let millis: u64 = rounds.cells.iter().flat_map(|cell| cell.millis.values()).sum();
    let seconds = Duration::from_millis(millis).as_secs_f64();
    let (declared, seen) = (outcome_text(&cell.declared), verdict_text(&cell.verdict));
    let flaky = rounds.flaky().is_some();
    let message = match rounds.standing() {
        Standing::NotApplicable => seen,
        Standing::NotAsDeclared if flaky => format!("flaky: {}; declared: {declared}", rate(rounds)),
        _ => format!("{seen}; declared: {declared}"),
    };
    let status = match rounds.standing() {
        Standing::AsDeclared | Standing::Observed => Status::Success,
        Standing::NotAsDeclared => Status::Failure {
            kind: if flaky { "flaky" } else { "not-as-declared" },
            message: &message,
            details: &shown,
        },
        Standing::Inconclusive => Status::Error {
            kind: "inconclusive",
            message: &message,
            details: Some(&shown),
        },
        Standing::NotApplicable => Status::Skipped { message: &message },
    };
    suite.add(&cell.cell, Some(seconds), &status, Some(&output(rounds, &shown)));
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
