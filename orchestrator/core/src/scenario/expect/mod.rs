//! Expectations: their shape in the file, and how each becomes a check of the [model](super::model).
//!
//! [`shape`] and [`measured_shape`] say what may be written, [`lower`](mod@lower) and [`measured`] check it against what
//! the steps write, name and measure.

mod contents;
mod entry;
mod lower;
mod measured;
mod measured_shape;
mod problem;
mod shape;
mod verify;
mod wanted;

pub(crate) use entry::ExpectEntry;
pub(crate) use lower::lower;
