//! Reports in files, which several commands write.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::report::{FileReport, Render, Reporter, Summary, render_junit, render_markdown, write_text};

/// Which reports to write.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ReportArgs {
    /// Also write JUnit XML to this file: a test case a cell
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write the grid to this file, as Markdown for a job's summary
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl ReportArgs {
    fn all(&self) -> impl Iterator<Item = (&PathBuf, Render)> {
        let junit = self.junit.iter().map(|path| (path, render_junit as Render));
        junit.chain(self.markdown.iter().map(|path| (path, render_markdown as Render)))
    }

    /// Reporters that keep the files up to date.
    pub(super) fn reporters(&self) -> anyhow::Result<Vec<Box<dyn Reporter>>> {
        self.all()
            .map(|(path, render)| {
                let report = FileReport::new(path, render).with_context(|| path.display().to_string())?;
                Ok(Box::new(report) as Box<dyn Reporter>)
            })
            .collect()
    }

    /// Writes the files for a run that is over.
    pub(super) fn write(&self, summary: &Summary) -> anyhow::Result<()> {
        self.all().try_for_each(|(path, render)| {
            write_text(path, &render(summary)).with_context(|| path.display().to_string())
        })
    }
}
