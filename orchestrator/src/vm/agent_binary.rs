//! The guest agent, carried inside this binary so that one `coldcut` runs anywhere.

/// The static `coldcut-agent` executable; `build.rs` builds it.
pub static AGENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/coldcut-agent"));
