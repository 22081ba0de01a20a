//! The result of a search.

use coldcut_core::search::{Answer, Search};

use super::question::Probe;

/// A change that was found, with the search that found it.
#[derive(Debug)]
pub struct Found {
    /// The index in the line of the first kernel that was searched.
    pub from: usize,
    /// The search.
    pub search: Search,
    /// Its answer; indices count from `from`.
    pub answer: Answer,
}

/// The result of a search.
#[derive(Debug)]
pub struct Conclusion {
    /// The answer; with `every_change`, the answers for all parts of the line, in order.
    pub found: Vec<Found>,
    /// Every run.
    pub probes: Vec<Probe>,
}

impl Conclusion {
    /// Returns the exit code: 0 when a change was found, 1 when there is none to find, 3 when nothing could be tested.
    pub fn exit_code(&self) -> u8 {
        let code = |found: &Found| match found.answer {
            Answer::Between { .. } => 0,
            Answer::Alike { .. } | Answer::WrongWay { .. } => 1,
            Answer::Untestable { .. } => 3,
        };
        self.found.iter().map(code).min().unwrap_or(3)
    }
}
