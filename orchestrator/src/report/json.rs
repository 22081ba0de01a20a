//! Events as JSON, one a line.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use coldcut_core::outcome::event::Stamped;

use super::Reporter;
use super::stdout::errln;

/// Writes each event as a line of JSON and flushes it, so that it survives a crash of coldcut.
#[derive(Debug)]
pub struct JsonLines<W> {
    writer: W,
    failure: Failure,
}

/// Why lines can no longer be written, once that is so.
#[derive(Clone, Debug, Default)]
pub struct Failure(Arc<OnceLock<io::Error>>);

impl Failure {
    /// The first error, if there was one.
    pub fn get(&self) -> Option<io::Error> {
        let first = self.0.get()?;
        Some(io::Error::new(first.kind(), first.to_string()))
    }
}

impl<W: Write> JsonLines<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            failure: Failure::default(),
        }
    }

    /// Returns a handle that tells later whether a write failed.
    pub fn failure(&self) -> Failure {
        self.failure.clone()
    }
}

impl<W: Write + Send> Reporter for JsonLines<W> {
    fn event(&mut self, event: &Stamped) {
        let written = serde_json::to_vec(event)
            .map_err(io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                self.writer.write_all(&line)?;
                self.writer.flush()
            });
        let Err(error) = written else { return };
        // A reader that has gone away is none of our business.
        let closed = error.kind() == io::ErrorKind::BrokenPipe;
        let text = format!("coldcut: events can no longer be written: {error}");
        if self.failure.0.set(error).is_ok() && !closed {
            errln!("{text}");
        }
    }
}
