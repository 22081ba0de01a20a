//! From YAML to typed values that know where they stand in the text.
//!
//! [`node`] parses the text, [`de`] reads nodes as serde types and reports every unknown key, [`entry`] reads one entry
//! of a list of steps or expectations, [`names`] and [`units`] are the scalars that scenarios use, `schema` says the
//! same to editors. Whatever is wrong goes to one sink, and [`error`] shows all of it at once.

pub(crate) mod at;
pub(crate) mod de;
mod de_error;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod names;
pub(crate) mod node;
#[cfg(feature = "schema")]
pub(crate) mod schema;
mod tagged;
pub(crate) mod units;
