//! Events as JSON, one a line.

use std::io::Write;

use coldcut_core::outcome::event::Stamped;

use super::Reporter;

/// Writes each event as a line of JSON and flushes it, so that what was reported survives us.
#[derive(Debug)]
pub struct JsonLines<W> {
    writer: W,
    failed: bool,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            failed: false,
        }
    }
}

impl<W: Write + Send> Reporter for JsonLines<W> {
    fn event(&mut self, event: &Stamped) {
        let written = serde_json::to_vec(event)
            .map_err(std::io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                self.writer.write_all(&line)?;
                self.writer.flush()
            });
        if let Err(error) = written
            && !std::mem::replace(&mut self.failed, true)
        {
            eprintln!("coldcut: events can no longer be written: {error}");
        }
    }
}
