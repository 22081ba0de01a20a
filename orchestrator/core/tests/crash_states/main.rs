//! The crash-state engine, compared with a naive model written from its definition.

mod coverage;
mod engine;
mod formats;
mod fuzz_corpus;
mod naive;
mod plans;
