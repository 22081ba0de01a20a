//! What is recorded for the measurement.

use std::fmt::Write as _;

use coldcut_core::outcome::unknown::Unknown;
use coldcut_core::scenario::{Scenario, Variant};

/// A filesystem and how its history is synced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    /// Its name in the report.
    pub(super) name: &'static str,
    /// The scenario's `filesystem`.
    filesystem: &'static str,
    /// Operations, syncs not counted.
    operations: usize,
    /// After how many of them the last file written is synced; all of them: sync(2) at the end.
    sync_every: usize,
}

const EXT4: &str =
    "{type: ext4, size: 64MiB, mkfs: [\"-b\", \"4096\", \"-g\", \"1024\", \"-J\", \"size=4\"]}";
const XFS: &str = "{type: xfs, size: 300MiB}";
const BTRFS: &str = "{type: btrfs, size: 128MiB}";

/// The recordings of the bench: few and many syncs.
pub(super) const WORKLOADS: [Workload; 6] = [
    Workload {
        name: "ext4, 12 operations, many syncs",
        filesystem: EXT4,
        operations: 12,
        sync_every: 2,
    },
    Workload {
        name: "ext4, 12 operations, few syncs",
        filesystem: EXT4,
        operations: 12,
        sync_every: 4,
    },
    Workload {
        name: "ext4, 100 operations, one sync",
        filesystem: EXT4,
        operations: 100,
        sync_every: 100,
    },
    Workload {
        name: "xfs, 100 operations, one sync",
        filesystem: XFS,
        operations: 100,
        sync_every: 100,
    },
    Workload {
        name: "btrfs, 12 operations, few syncs",
        filesystem: BTRFS,
        operations: 12,
        sync_every: 4,
    },
    Workload {
        name: "btrfs, 100 operations, one sync",
        filesystem: BTRFS,
        operations: 100,
        sync_every: 100,
    },
];

impl Workload {
    /// Its variant, by the workload's name; then, where that is wanted, the same in every other mode of its filesystem.
    ///
    /// # Errors
    /// [`Unknown`] when the workload is not valid.
    pub(super) fn variants(&self, modes: bool) -> Result<Vec<(String, Variant)>, Unknown> {
        let scenario = Scenario::parse("bench", &self.text()).map_err(|e| Unknown::new(e.to_string()))?;
        let variant = scenario.variants().first().cloned();
        let variant = variant.ok_or_else(|| Unknown::new("the workload has no variant"))?;
        let fstype = variant.filesystem.fstype;
        let mut all = vec![(self.name.to_owned(), variant)];
        if modes {
            let (others, _) = scenario.in_modes(fstype, fstype.modes.iter().skip(1));
            let named = |variant: &Variant| {
                let mode = variant.mode.as_ref().map_or("", |mode| mode.name);
                (format!("{} ({mode})", self.name), variant.clone())
            };
            all.extend(others.variants().iter().map(named));
        }
        Ok(all)
    }

    fn text(&self) -> String {
        let mut text = format!(
            "format: 1\nname: bench-states\nfilesystem: {}\nend: cut\nworkload:\n",
            self.filesystem
        );
        let mut last = String::new();
        for number in 0..self.operations {
            // A directory each: ext4 puts them into different block groups, so that writes are not merged into one.
            let dir = format!("d{}", number / 5);
            let step = match number % 5 {
                0 => format!("mkdir: {dir}"),
                1 => {
                    last = format!("{dir}/f");
                    format!("write: {{path: {last}, len: 8KiB, content: {dir}@1}}")
                }
                2 => format!("link: {{from: {dir}/f, to: {dir}/l}}"),
                3 => format!("rename: {{from: {dir}/l, to: {dir}/r}}"),
                _ => format!("truncate: {{path: {dir}/f, size: 5000}}"),
            };
            let _ = writeln!(text, "  - {step}");
            if (number + 1).is_multiple_of(self.sync_every) {
                let sync = if self.sync_every == self.operations {
                    "sync".to_owned()
                } else {
                    format!("fsync: {last}")
                };
                let _ = writeln!(text, "  - {sync}");
            }
        }
        text.push_str("expect:\n  - no_foreign_data: all\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workloads_are_valid() {
        for workload in WORKLOADS {
            let (_, variant) = workload.variants(false).unwrap().remove(0);
            let syncs = workload.operations / workload.sync_every;
            assert_eq!(variant.workload.len(), workload.operations + syncs);
        }
    }
}
