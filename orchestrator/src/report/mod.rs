//! Reporters: everything that a user sees comes from the one stream of events.

mod json;
mod progress;
mod sink;
mod table;

pub use json::JsonLines;
pub use progress::Progress;
pub use sink::{EventSink, Reporter};
pub use table::{render_cell, render_run, verdict_text};
