//! Measurements that `coldcut bench` prints.

mod bookkeeping;
mod core;
mod device;
mod recovery;
mod states;

pub use self::core::{CoreBench, CoreBenchError, Times, core};
pub use bookkeeping::{BookkeepingBench, BookkeepingError, bookkeeping};
pub use device::{BenchError, DeviceBench, Rates, device};
pub use recovery::{Phases, RecoveryBench, RecoveryOptions, recovery};
pub use states::{StatesOptions, states};
