//! A scenario of one variant, as text.

use std::fmt;

use super::fields::quoted;

/// The parts of a scenario. Entries of lists are texts without indentation, of one or more lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Lines for the reader above everything else, without `#`.
    pub comments: Vec<String>,
    /// The scenario's name.
    pub name: String,
    /// What it tests, in one line.
    pub summary: String,
    /// Where it comes from.
    pub reference: String,
    /// The key `filesystem` with all that belongs to it, and where needed `device`.
    pub filesystem: String,
    /// Steps made durable before the recording.
    pub setup: Vec<String>,
    /// Steps that are recorded.
    pub workload: Vec<String>,
    /// The crash plan.
    pub crash: String,
    /// How the recording stops.
    pub end: String,
    /// What must hold.
    pub expect: Vec<String>,
    /// What is declared of the verdict.
    pub outcome: String,
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for comment in &self.comments {
            writeln!(f, "# {comment}")?;
        }
        writeln!(f, "format: 1\nname: {}", quoted(&self.name))?;
        for (key, text) in [("summary", &self.summary), ("reference", &self.reference)] {
            if !text.is_empty() {
                writeln!(
                    f,
                    "{key}: {}",
                    serde_json::to_string(text).map_err(|_| fmt::Error)?
                )?;
            }
        }
        writeln!(f, "\n{}", self.filesystem.trim_end())?;
        list(f, "setup", &self.setup)?;
        list(f, "workload", &self.workload)?;
        list(f, "expect", &self.expect)?;
        writeln!(
            f,
            "\ncrash: {}\nend: {}\noutcome: {}",
            self.crash, self.end, self.outcome
        )
    }
}

/// A list under its key; nothing where it is empty.
fn list(f: &mut fmt::Formatter<'_>, key: &str, entries: &[String]) -> fmt::Result {
    if entries.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{key}:")?;
    for entry in entries {
        for (index, line) in entry.lines().enumerate() {
            writeln!(f, "  {}{line}", if index == 0 { "- " } else { "  " })?;
        }
    }
    Ok(())
}
