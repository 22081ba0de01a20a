//! Measurements that `coldcut bench` prints.
