//! Every test of core from outside: one binary, linked once.

// Core touches no files; its tests read fixtures and scenarios.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]

mod auto;
mod auto_model;
mod bad_input;
mod bisect;
mod cell;
mod crash_states;
mod diff;
mod dm_log_writes;
mod full;
mod history;
mod live;
mod matrix;
mod oracle;
mod oracle_bytes;
mod oracle_model;
mod rounds;
mod scenarios;
mod suite;
mod trees;
