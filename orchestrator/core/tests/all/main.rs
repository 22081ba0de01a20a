//! Every test of core from outside: one binary, linked once.

mod bad_input;
mod bisect;
mod cell;
mod crash_states;
mod diff;
mod dm_log_writes;
mod full;
mod live;
mod matrix;
mod oracle;
mod oracle_bytes;
mod oracle_model;
mod rounds;
mod scenarios;
mod suite;
mod trees;
