//! The way back: steps and expectations as the YAML that [`Scenario::parse`](super::Scenario::parse) reads.
//!
//! What only measures, moves bytes through pipes or controls the disk is not written: histories that are generated, imported
//! or minimised consist of what changes files.

mod check;
mod document;
mod fields;
mod op;
mod step;

pub use check::expectation;
pub use document::Document;
pub use op::op;
pub use step::step;

/// Why a step or an expectation is not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no part of a history of files, and is not written as YAML")]
pub struct NotWritten(pub String);

#[cfg(test)]
mod tests;
