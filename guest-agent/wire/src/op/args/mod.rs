//! The arguments of each operation, a struct for each.

mod attributes;
mod data;
mod names;
mod pipes;
mod sync;
mod system;
mod watch;

pub use attributes::*;
pub use data::*;
pub use names::*;
pub use pipes::*;
pub use sync::*;
pub use system::*;
pub use watch::*;
