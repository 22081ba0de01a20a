//! Live progress. On a terminal, one line for each cell under way; elsewhere, one line for each finished cell.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use coldcut_core::outcome::event::{Event, Phase, Stamped};
use coldcut_core::outcome::verdict::Standing;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Reporter;
use super::clean::clean;
use super::phrases::verdict_text;
use crate::report::stdout::errln;

/// Shows what is going on.
pub struct LiveProgress {
    bars: MultiProgress,
    cells: HashMap<String, ProgressBar>,
    terminal: bool,
}

impl Default for LiveProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl LiveProgress {
    /// Progress on standard error.
    pub fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
            cells: HashMap::new(),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn line(&self, text: &str) {
        if self.terminal {
            let _ = self.bars.println(clean(text));
        } else {
            errln!("{text}");
        }
    }

    fn bar(&mut self, cell: &str) -> &ProgressBar {
        let bars = &self.bars;
        self.cells.entry(cell.to_owned()).or_insert_with(|| {
            let bar = bars.add(ProgressBar::no_length());
            bar.set_style(plain());
            bar.set_prefix(clean(cell));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        })
    }
}

fn plain() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix}  {wide_msg}").expect("a valid template")
}

fn counted() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix}  {msg} {bar:24} {pos} of {len} crash states")
        .expect("a valid template")
}

fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::Format => "making the filesystem",
        Phase::Boot => "booting",
        Phase::Setup => "running the setup",
        Phase::Record => "recording",
        Phase::Plan => "enumerating crash states",
        Phase::Recover => "recovering",
        Phase::Judge => "judging",
    }
}

impl Reporter for LiveProgress {
    fn event(&mut self, stamped: &Stamped) {
        match &stamped.event {
            Event::RunStarted {
                run,
                cells,
                jobs,
                accel,
                ..
            } => {
                self.line(&format!(
                    "run {run}: {} cells, {jobs} machines at once, {accel}",
                    cells.len()
                ));
            }
            Event::Notice { cell, text } => {
                let text = cell
                    .as_ref()
                    .map_or(text.clone(), |cell| format!("{cell}: {text}"));
                self.line(&format!("note: {text}"));
            }
            Event::Phase { cell, phase } if self.terminal => self.bar(cell).set_message(phase_text(*phase)),
            Event::Step {
                cell,
                index,
                of,
                name,
            } if self.terminal => {
                self.bar(cell).set_message(clean(format_args!(
                    "recording: step {} of {of}, {name}",
                    index + 1
                )));
            }
            Event::Planned { cell, distinct, .. } if self.terminal => {
                let bar = self.bar(cell);
                bar.set_style(counted());
                bar.set_length(*distinct);
                bar.set_position(0);
            }
            Event::Recovered { cell, done, of, .. } if self.terminal => {
                let bar = self.bar(cell);
                bar.set_length(*of);
                bar.set_position(*done);
            }
            Event::CellFinished { result } => {
                if let Some(bar) = self.cells.remove(result.cell.id.as_str()) {
                    bar.finish_and_clear();
                    self.bars.remove(&bar);
                }
                let mark = match result.standing {
                    Standing::AsDeclared => "ok",
                    Standing::NotAsDeclared => "NOT AS DECLARED",
                    Standing::Inconclusive => "INCONCLUSIVE",
                    Standing::NotApplicable => "not applicable",
                    Standing::Observed => "observed",
                };
                self.line(&format!(
                    "[{:6.1} s] {:<15} {}  {}",
                    stamped.at,
                    mark,
                    result.cell.id,
                    verdict_text(&result.verdict)
                ));
            }
            _ => {}
        }
    }
}
