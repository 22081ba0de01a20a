//! Scenarios that more than one test runs.

/// A synced file, a cut after that, and whatever `rest` adds: what ext4 says when the recovering kernel mounts it.
pub fn what_ext4_says(rest: &str) -> String {
    const HEAD: &str = "
format: 1
name: what-ext4-says
filesystem: {type: ext4, size: 32MiB}
workload:
  - write: {path: data, len: 4KiB, content: data@1}
  - fsync: data
    label: synced
crash: {plan: at, at: [synced]}
end: cut
";
    format!("{HEAD}{rest}")
}

/// Holds until 6.1 and not since 6.3, where ext4 says `r/w` when it mounts: a real difference between kernels that no
/// timing changes.
pub fn read_write() -> String {
    what_ext4_says(
        "expect:
  - content: {path: data, is: data@1}
    after: synced
  - dmesg_free: [\" r/w with ordered data mode\"]
outcome: holds
",
    )
}
