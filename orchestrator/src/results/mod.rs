//! A run's directory: `results/<run-id>/`. Its layout is described in `results/README.md`.
//!
//! Everything is written so that a crash of coldcut leaves a readable run: `run.json` before anything happens,
//! `events.jsonl` line by line, `result.json` anew (by rename) at intervals that grow with it. What a killed run had
//! finished since then, [`load_result`] takes from `events.jsonl`.

mod dir;
mod events;
mod merge;
mod seal;
mod share;
mod store;

pub use dir::{CellDir, RunDir, RunInfo, ScenarioInfo, ShardInfo, stamp_now};
pub use events::events_of;
pub use merge::{MergeError, Merged, Part, merge};
pub use seal::{check_seal, seal};
pub use share::{copy_cell, inspect_cell, share_file, share_recording};
pub use store::{ResultsError, find_run, load_result, load_run, recorded_cells, state_path};
