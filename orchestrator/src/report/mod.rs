//! Reporters: everything that a user sees of a run comes from the one stream of events.
//!
//! [`Reporter`] takes events one by one. What shows a run as a whole ([`FileReport`], [`ScreenReport`]) gathers them
//! into a [`Summary`], and differs only in how that is rendered; the kinds of files are listed in [`formats`].

mod cell;
mod clean;
mod elsewhere;
mod exploring;
mod file;
mod findings;
pub mod formats;
mod grid;
mod html;
mod json;
mod junit;
mod markdown;
mod phrases;
mod progress;
mod recovery;
mod screen;
mod sink;
pub mod stdout;
mod summary;
mod table;
mod xml;

pub use cell::render_cell;
pub use clean::clean;
pub use exploring::ExploreProgress;
pub use file::{FileFormat, FileReport};
pub use findings::render_groups;
pub use grid::render_grid;
pub use html::render_html;
pub use json::{Failure, JsonLines};
pub use junit::render_junit;
pub use markdown::render_markdown;
pub use phrases::verdict_text;
pub use progress::LiveProgress;
pub use recovery::{mark_text, render_recovery};
pub use screen::ScreenReport;
pub use sink::{EventSink, Reporter};
pub use summary::{Gathered, Render, Summary};
pub use table::render_run;
