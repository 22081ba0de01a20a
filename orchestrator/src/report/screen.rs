//! A report on standard output when the stream of events ends.

use coldcut_core::outcome::event::Stamped;

use super::stdout::{self, errln};
use super::{Gathered, Render, Reporter};

/// Prints a report on a run that is over.
pub struct ScreenReport {
    /// What is printed before it.
    lead: &'static str,
    render: Render,
    gathered: Gathered,
}

impl ScreenReport {
    /// A report that is rendered by `render` and printed after `lead`.
    pub fn new(lead: &'static str, render: Render) -> Self {
        Self {
            lead,
            render,
            gathered: Gathered::default(),
        }
    }
}

impl Reporter for ScreenReport {
    fn event(&mut self, event: &Stamped) {
        self.gathered.take(&event.event);
    }

    fn end(&mut self) {
        let text = self.gathered.render(self.render);
        // The run is kept, whoever reads of it.
        if let Err(error @ stdout::OutputError::Write(_)) = stdout::print(format_args!("{}{text}", self.lead))
        {
            errln!("coldcut: {error}");
        }
    }
}
