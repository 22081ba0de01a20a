//! Everything of coldcut that touches the world: QEMU, sockets, files, processes, the terminal.
//!
//! The pure part is `coldcut-core`; start there. Here, read [`run`] first: it is the straight line from a scenario
//! to a verdict.

pub mod agent_binary;
pub mod bench;
pub mod bisect;
pub mod cli;
pub mod device;
pub mod filesystem;
pub mod initramfs;
pub mod kernel;
pub mod logged;
pub mod machine;
pub mod process;
pub mod report;
pub mod results;
pub mod run;
pub mod scenario_file;
pub mod scratch;
pub mod template;
