//! What a search came to.

use coldcut_core::search::{Answer, Search};

use super::question::Probe;

/// A change that was found, with the search that found it.
#[derive(Debug)]
pub struct Found {
    /// The index in the line of the search's first kernel.
    pub from: usize,
    /// The search.
    pub search: Search,
    /// Its answer; indices count from `from`.
    pub answer: Answer,
}

/// What a search came to.
#[derive(Debug)]
pub struct Conclusion {
    /// The answer, or with every change those of all parts of the line, in order.
    pub found: Vec<Found>,
    /// Every run.
    pub probes: Vec<Probe>,
}

impl Conclusion {
    /// The exit code: 0 a change was found, 1 there is none to find, 3 nothing could be tested.
    pub fn exit_code(&self) -> u8 {
        let code = |found: &Found| match found.answer {
            Answer::Between { .. } => 0,
            Answer::Alike { .. } | Answer::WrongWay { .. } => 1,
            Answer::Untestable { .. } => 3,
        };
        self.found.iter().map(code).min().unwrap_or(3)
    }
}
