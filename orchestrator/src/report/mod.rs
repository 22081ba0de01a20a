//! Reporters: everything that a user sees comes from the one stream of events.

mod elsewhere;
mod file;
mod grid;
mod json;
mod junit;
mod markdown;
mod progress;
mod sink;
mod table;
mod words;

pub use file::{FileReport, Render, Summary, write_text};
pub use grid::render_grid;
pub use json::JsonLines;
pub use junit::render_junit;
pub use markdown::render_markdown;
pub use progress::Progress;
pub use sink::{EventSink, Reporter};
pub use table::{render_cell, render_run, verdict_text};
