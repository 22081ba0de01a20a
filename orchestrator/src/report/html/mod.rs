//! One page about a run, to be opened in a browser: it needs no network, and says nothing to anybody.

mod cell;
mod page;
mod timeline;

use super::file::FileFormat;
use super::summary::Summary;

/// The report as the command line knows it.
pub(super) const FORMAT: FileFormat = FileFormat {
    name: "html",
    help: "Also write one page to this file, to be opened in a browser",
    render: render_html,
};

/// The page: the grid of all cells, and behind each cell everything that is known of it. Where the run's directory is at hand,
/// that includes what was written and when.
pub fn render_html(summary: &Summary) -> String {
    page::render(summary)
}
