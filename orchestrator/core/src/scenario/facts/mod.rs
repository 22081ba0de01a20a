//! What is known of each operation: one exhaustive match a question, so that an operation without an answer does not
//! compile. Its patience, and whether it may change files, both sides must know: see [`coldcut_wire::Op`]. What it
//! measures: [`super::measured::items`].

mod data;
mod promise;
mod unsupported;

pub use data::{Moves, Opens, Writes, closes, connects, moves, opens, removes, shifts, writes};
pub use promise::{Promise, promise};
pub use unsupported::unsupported;
