//! Every test of the wire format from outside: one binary, linked once.

mod frame;
mod pattern;
