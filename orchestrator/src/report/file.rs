//! Reports in files: kept up to date while a run goes on, so that a run that is killed leaves one that says so.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use coldcut_core::outcome::event::Stamped;
use coldcut_core::outcome::rewrite::Rewrites;

use super::stdout::errln;
use super::{Gathered, Render, Reporter};

/// A kind of report on a whole run, which goes to a file.
#[derive(Debug)]
pub struct FileFormat {
    /// The option that asks for it, without dashes.
    pub name: &'static str,
    /// What the option does, for the command line's help.
    pub help: &'static str,
    /// Renders it.
    pub render: Render,
}

/// Keeps a file up to date with the events: written anew at intervals that grow with it, when the stream ends, and when
/// this is dropped.
pub struct FileReport {
    path: PathBuf,
    render: Render,
    gathered: Gathered,
    /// When it is due meanwhile; `None` where it is not written before the end.
    rewrites: Option<Rewrites>,
    /// Whether the file lacks something.
    stale: bool,
    failed: bool,
}

impl FileReport {
    /// A report to this file; fails at once where it cannot be written.
    ///
    /// # Errors
    /// As writing the file does.
    pub fn new(path: &Path, render: Render) -> std::io::Result<Self> {
        let mut report = Self {
            path: path.to_owned(),
            render,
            gathered: Gathered::default(),
            rewrites: Some(Rewrites::default()),
            stale: false,
            failed: false,
        };
        report.try_write()?;
        Ok(report)
    }

    /// A report to this file that is written when the stream ends, or this is dropped, and not before.
    pub fn at_end(path: &Path, render: Render) -> Self {
        Self {
            path: path.to_owned(),
            render,
            gathered: Gathered::default(),
            rewrites: None,
            stale: false,
            failed: false,
        }
    }

    fn try_write(&mut self) -> std::io::Result<()> {
        write_text(&self.path, &self.gathered.render(self.render))
    }

    fn write(&mut self) {
        self.stale = false;
        if let Err(error) = self.try_write()
            && !std::mem::replace(&mut self.failed, true)
        {
            errln!("coldcut: {} cannot be written: {error}", self.path.display());
        }
    }
}

/// Writes a file whole or not at all; what is no regular file (such as /dev/stdout) is written to.
fn write_text(path: &Path, text: &str) -> std::io::Result<()> {
    if path.exists() && !path.is_file() {
        return std::fs::write(path, text);
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

impl Reporter for FileReport {
    fn event(&mut self, event: &Stamped) {
        if !self.gathered.take(&event.event) {
            return;
        }
        self.stale = true;
        let done = self.gathered.done();
        if self.rewrites.as_mut().is_some_and(|rewrites| rewrites.due(done)) {
            self.write();
        }
    }

    fn end(&mut self) {
        if self.stale {
            self.write();
        }
    }
}

impl Drop for FileReport {
    /// An interrupted run leaves every cell that was done in it.
    fn drop(&mut self) {
        self.end();
    }
}
