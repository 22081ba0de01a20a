//! What is wrong with an expectation.

use super::entry::ExpectEntry;
use crate::scenario::yaml::error::Problem;

/// What an expectation is lowered to, or what is wrong with it.
pub(crate) type Lowered<T> = Result<T, Box<Problem>>;

/// Says that an expectation lacks something.
#[allow(clippy::unnecessary_box_returns)] // every error here is boxed
pub(crate) fn needs(entry: &ExpectEntry, what: &str) -> Box<Problem> {
    Problem::new(&entry.key.span, format!("`{}` needs {what}", entry.key.value)).into()
}
