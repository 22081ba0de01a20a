//! Progress of a run of thousands of workloads: what is found as it is found, and rates.

use std::io::IsTerminal as _;
use std::time::Duration;

use coldcut_core::outcome::event::{Event, Stamped};
use coldcut_core::outcome::result::CellResult;
use coldcut_core::outcome::verdict::Standing;
use indicatif::{ProgressBar, ProgressStyle};

use super::Reporter;
use super::phrases::verdict_text;
use crate::report::stdout::errln;

/// Seconds between two lines about rates where there is no terminal.
const EVERY: f64 = 20.0;
/// Lines about workloads of which nothing is known, at most: there may be one for each.
const MOST: u64 = 10;

/// Counts workloads.
#[derive(Clone, Debug, Default)]
struct Counts {
    all: usize,
    done: u64,
    found: u64,
    unknown: u64,
    states: u64,
}

/// Shows how far exploring came.
pub struct ExploreProgress {
    bar: Option<ProgressBar>,
    counts: Counts,
    /// When the last line about rates was written, in seconds.
    told: f64,
}

impl Default for ExploreProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl ExploreProgress {
    /// Progress on standard error.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self {
            bar,
            counts: Counts::default(),
            told: 0.0,
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => errln!("{text}"),
        }
    }

    fn finished(&mut self, at: f64, result: &CellResult) {
        self.counts.done += 1;
        self.counts.states = self
            .counts
            .states
            .saturating_add(result.states.total - result.states.left_out.min(result.states.total));
        match result.standing {
            Standing::NotAsDeclared => {
                self.counts.found += 1;
                let first = result.violations.first();
                let evidence = first.map_or_else(String::new, |first| format!(": {}", first.evidence));
                let verdict = verdict_text(&result.verdict);
                self.line(&format!(
                    "[{at:6.1} s] FOUND {}  {verdict}{evidence}",
                    result.cell.id
                ));
            }
            Standing::Inconclusive => {
                self.counts.unknown += 1;
                if self.counts.unknown <= MOST {
                    let verdict = verdict_text(&result.verdict);
                    self.line(&format!("[{at:6.1} s] {}  {verdict}", result.cell.id));
                }
            }
            Standing::AsDeclared | Standing::NotApplicable | Standing::Observed => {}
        }
        let text = rates(&self.counts, at);
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None if at - self.told >= EVERY => {
                self.told = at;
                errln!("[{at:6.1} s] {text}");
            }
            None => {}
        }
    }
}

/// `123 of 328 workloads, 1.4/s; 4321 states, 38/s; 2 found, 1 inconclusive`.
fn rates(counts: &Counts, at: f64) -> String {
    let per_second = |count: u64| if at > 0.0 { count as f64 / at } else { 0.0 };
    format!(
        "{} of {} workloads, {:.2}/s; {} states, {:.0}/s; {} found, {} inconclusive",
        counts.done,
        counts.all,
        per_second(counts.done),
        counts.states,
        per_second(counts.states),
        counts.found,
        counts.unknown
    )
}

impl Reporter for ExploreProgress {
    fn event(&mut self, stamped: &Stamped) {
        match &stamped.event {
            Event::RunStarted {
                run,
                cells,
                jobs,
                accel,
                ..
            } => {
                self.counts.all = cells.len();
                self.line(&format!(
                    "run {run}: {} workloads, {jobs} machines at once, {accel}",
                    cells.len()
                ));
            }
            Event::Notice { cell: None, text } => self.line(&format!("note: {text}")),
            Event::CellFinished { result } => self.finished(stamped.at, result),
            Event::RunFinished { seconds, .. } => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                errln!("{} in {seconds:.0} s", rates(&self.counts, *seconds));
            }
            Event::Notice { cell: Some(_), .. }
            | Event::Phase { .. }
            | Event::Step { .. }
            | Event::Recorded { .. }
            | Event::Planned { .. }
            | Event::Recovered { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_by_the_second() {
        let counts = Counts {
            all: 328,
            done: 123,
            found: 2,
            unknown: 1,
            states: 4321,
        };
        let text = "123 of 328 workloads, 1.23/s; 4321 states, 43/s; 2 found, 1 inconclusive";
        assert_eq!(rates(&counts, 100.0), text);
        assert!(rates(&Counts::default(), 0.0).starts_with("0 of 0 workloads, 0.00/s"));
    }
}
