//! Virtual machines: starting, saving and cloning them, how many may run at once, and talking to what runs inside.
//!
//! [`machine`] is one QEMU, [`snapshot`] keeps saved guests, [`templates`] finds or makes them, [`pool`] has machines for
//! whoever needs one, within a [`budget`], [`client`] talks to the agent.

pub mod agent_binary;
pub mod budget;
pub mod client;
pub(crate) mod clock;
pub(crate) mod heard;
pub mod initramfs;
pub mod limits;
pub mod machine;
pub mod open;
pub mod pool;
pub mod programs;
pub mod snapshot;
pub mod templates;
