//! Measurements that `coldcut bench` prints.

mod device;

pub use device::{BenchError, DeviceBench, Rates, device};
