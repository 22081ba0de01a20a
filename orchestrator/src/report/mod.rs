//! Reporters: everything that a user sees comes from the one stream of events.

mod grid;
mod json;
mod progress;
mod sink;
mod table;

pub use grid::render_grid;
pub use json::JsonLines;
pub use progress::Progress;
pub use sink::{EventSink, Reporter};
pub use table::{render_cell, render_run, verdict_text};
