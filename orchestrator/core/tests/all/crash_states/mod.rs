//! The crash-state engine, compared with a naive model written from its definition.

// Coverage marks are counted only where debug assertions are on, as in the dev profile that `make test` uses.
#[cfg(debug_assertions)]
mod coverage;
mod engine;
mod formats;
mod fuzz_corpus;
mod naive;
mod plans;
mod reads;
