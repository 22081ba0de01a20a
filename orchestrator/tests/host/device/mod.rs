//! The disk under test, over real sockets, without QEMU.

mod faces;
mod faults;
mod golden;
mod held;
mod images;
mod misuse;
mod model;
mod rig;
mod several;
