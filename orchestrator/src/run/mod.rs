//! The straight line: a scenario's cell is recorded, its crash states are recovered and judged.
//!
//! [`lab`] has the machines, [`session`] the conversation with one guest, [`record`] makes a recording, [`recover`]
//! recovers one content, `live` runs what needs no crash, [`cell`] ties them to a verdict.

pub mod budget;
pub mod cell;
mod disk;
pub mod lab;
mod line;
mod live;
pub mod record;
pub mod recorded;
pub mod recover;
pub mod session;
mod steps;
pub mod templates;
pub mod tiers;
pub(crate) mod timings;

/// Why nothing is known: what makes a state or a cell Inconclusive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

impl Unknown {
    /// Something failed while `doing`.
    pub fn while_doing(doing: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{doing}: {error}"))
    }
}

/// Adds what was being done to an error that makes the outcome unknown.
pub(crate) trait OrUnknown<T> {
    /// As [`Unknown::while_doing`].
    fn or_unknown(self, doing: &str) -> Result<T, Unknown>;
}

impl<T, E: std::fmt::Display> OrUnknown<T> for Result<T, E> {
    fn or_unknown(self, doing: &str) -> Result<T, Unknown> {
        self.map_err(|error| Unknown::while_doing(doing, error))
    }
}
