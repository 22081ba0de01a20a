//! The smallest history and the fewest lost writes that still show a violation.
//!
//! [`Reducer`] says what to leave out next, and is told whether that still violates; whoever asks it records and judges.
//! [`History`] is what a variant does, in parts that can be left out or made simpler; [`losses`] are the writes that a crash
//! state lost. [`fstests_case`] writes a history as a script that needs nothing of coldcut. Leaving out halves, then quarters
//! and so on is delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 2002).

mod history;
mod losses;
mod reducer;
mod script;
mod simpler;

pub use history::{Entry, History};
pub use losses::{losing, losses};
pub use reducer::Reducer;
pub use script::fstests_case;
