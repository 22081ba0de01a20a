//! Measurements that `coldcut bench` prints.

mod core;
mod device;
mod recovery;

pub use self::core::{CoreBench, CoreBenchError, Times, core};
pub use device::{BenchError, DeviceBench, Rates, device};
pub use recovery::{Phases, RecoveryBench, RecoveryOptions, recovery};
