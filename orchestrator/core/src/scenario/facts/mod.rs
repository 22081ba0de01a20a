//! What is known of each operation: one exhaustive match for each question, so that an operation without an answer does
//! not compile. How long it may take, and whether it may change files, is known to the agent too: see
//! [`coldcut_wire::Op`].

mod data;
mod handles;
mod journal;
mod measures;
mod names;
mod promise;
#[cfg(test)]
mod table;
mod unsupported;

pub use data::{Data, Moves, Reads, Writes, data, known_patterns, reads, writes};
pub use handles::{Handles, Opens, handles};
pub use journal::waits_for_commit;
pub use measures::{measured_as, measures};
pub use names::{Names, names};
pub use promise::{Promise, promise};
pub use unsupported::unsupported;
