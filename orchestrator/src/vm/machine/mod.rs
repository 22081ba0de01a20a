//! One virtual machine: QEMU as a child process, its monitor, its console and the agent inside.

mod accel;
mod args;
mod console;
mod guest;
mod instance;
mod qemu;
mod qmp;

pub use accel::{Accel, AccelChoice, AccelDecision, decide_accel};
pub use args::{Backend, BootImage, DiskSpec, MachineSpec, Ram, disk_name, kernel_command_line, qemu_args};
pub use console::Console;
pub use guest::{Guest, GuestError, Next, Reply};
pub use instance::{Machine, MachineError, Saved};
pub use qemu::{OLDEST_QEMU, Qemu, QemuError};
pub use qmp::{Qmp, QmpError};
