//! Lines with their sections and words.

use super::JlangError;

/// A part of a workload's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Define,
    Declare,
    Setup,
    Run,
}

/// A line that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'t> {
    /// Its number, from 1.
    pub(super) number: usize,
    pub(super) section: Section,
    /// Its words; at least one.
    pub(super) words: Vec<&'t str>,
}

impl<'t> Line<'t> {
    /// What the line says to do, or defines.
    pub(super) fn key(&self) -> &'t str {
        self.words.first().copied().unwrap_or_default()
    }

    /// The word at `at`, of which `what` is expected there.
    pub(super) fn word(&self, at: usize, what: &str) -> Result<&'t str, JlangError> {
        let missing = || {
            JlangError::new(
                self.number,
                format!("`{}` with {what}", self.key()),
                "the end of the line",
            )
        };
        self.words.get(at).copied().ok_or_else(missing)
    }

    /// The number at `at`, in bytes.
    pub(super) fn number_at(&self, at: usize, what: &str) -> Result<u64, JlangError> {
        let word = self.word(at, what)?;
        let found = word.parse::<u64>().ok().filter(|number| *number <= 1 << 40);
        found.ok_or_else(|| {
            JlangError::new(
                self.number,
                format!("{what}, a number of bytes"),
                format!("`{word}`"),
            )
        })
    }

    /// Makes sure that there are so many words and no more.
    pub(super) fn ends_after(&self, words: usize) -> Result<(), JlangError> {
        match self.words.get(words) {
            None => Ok(()),
            Some(more) => Err(JlangError::new(
                self.number,
                "the end of the line",
                format!("`{more}`"),
            )),
        }
    }
}

/// The lines of a text that say something.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Result<Line<'_>, JlangError>> {
    let mut section = None;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let number = index + 1;
        let line = line.trim();
        if line.is_empty() {
            return None;
        }
        if let Some(name) = line.strip_prefix('#') {
            section = match name.trim() {
                "define" => Some(Section::Define),
                "declare" => Some(Section::Declare),
                "setup" => Some(Section::Setup),
                "run" => Some(Section::Run),
                other => {
                    let sections = "`# define`, `# declare`, `# setup` or `# run`";
                    return Some(Err(JlangError::new(number, sections, format!("`# {other}`"))));
                }
            };
            return None;
        }
        Some(match section {
            Some(section) => Ok(Line {
                number,
                section,
                words: line.split_whitespace().collect(),
            }),
            None => Err(JlangError::new(number, "`# define` first", format!("`{line}`"))),
        })
    })
}
