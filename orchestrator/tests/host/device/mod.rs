//! The disk under test, over real sockets, without QEMU.

mod control;
mod faces;
mod golden;
mod held;
mod images;
mod misuse;
mod model;
mod rig;
