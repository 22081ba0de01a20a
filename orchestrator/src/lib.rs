//! coldcut: the orchestrator, everything that touches the world (processes, sockets, files).

pub mod bench;
pub mod device;
