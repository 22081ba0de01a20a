//! What cannot be mapped.

/// A line that cannot be mapped to steps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, found {found}")]
pub struct JlangError {
    /// Its number, from 1.
    pub line: usize,
    /// What was expected there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl JlangError {
    pub(super) fn new(line: usize, expected: impl Into<String>, found: impl Into<String>) -> Self {
        let found: String = found.into();
        let mut short: String = found.chars().take(80).collect();
        if short.len() < found.len() {
            short.push('…');
        }
        Self {
            line,
            expected: expected.into(),
            found: short,
        }
    }
}
