//! Searching a line of kernels for the one that changed something.
//!
//! The kernels stand in version order, the old end first. Each run of a kernel comes out as one of three: as on the
//! old side, as on the new side, or untestable (it does not boot, mount or answer, or its verdict is inconclusive).
//! What is untestable never steers; its neighbours are tried in its place. [`Search`] says which kernel to run next
//! and takes what came of it; it runs nothing itself, so a log of observations rebuilds it after an interruption.
//! [`Sequential`] decides how often a kernel must be run before its outcome counts.
//!
//! [`Behaviour`] is what a run showed; it becomes an observation by what is looked for ([`Aim`], [`By`]).
//!
//! That an untestable candidate widens the answer instead of deciding it, and that its neighbours are asked, follows
//! what bisecting tools for nightly compilers and `git bisect skip` do.

mod behaviour;
mod bisection;
mod sequential;

pub use behaviour::{Aim, Aspect, Behaviour, By, Quality};
pub use bisection::{Answer, Kernel, Next, Search, TooFewKernels};
pub use sequential::{Decision, Flakiness, Runs, Sequential, SettingsError};

use serde::{Deserialize, Serialize};

/// The two sides that a search tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// As at the old end.
    Old,
    /// As at the new end.
    New,
}

/// What one run of a kernel showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observation {
    /// It is as on the old side.
    Old,
    /// It is as on the new side.
    New,
    /// Nothing is known.
    Untestable,
}
