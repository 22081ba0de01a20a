//! Measurements that `coldcut bench` prints.

mod core;
mod device;

pub use self::core::{CoreBench, CoreBenchError, Times, core};
pub use device::{BenchError, DeviceBench, Rates, device};
