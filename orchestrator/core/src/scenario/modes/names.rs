//! Whether what a variant expects rests on names that only fsync of the file itself made durable.
//!
//! fsync(2): "Calling fsync() does not necessarily ensure that the entry in the directory containing the file has also
//! reached disk. For that an explicit fsync() on a file descriptor for the directory is also needed."

use std::collections::BTreeSet;

use coldcut_wire::Op;

use crate::scenario::facts::{self, Promise};
use crate::scenario::{Check, Expectation, Moment, Step, Variant, flatten};

/// Whether any expectation rests on a name that the workload makes, moves or removes, and whose directory no step syncs.
pub(super) fn rests_on_names(variant: &Variant) -> bool {
    variant
        .expect
        .iter()
        .any(|expectation| rests(variant, expectation))
}

fn rests(variant: &Variant, expectation: &Expectation) -> bool {
    let (Some(path), Some(moment)) = (path_of(&expectation.check), &expectation.after) else {
        return false;
    };
    let mut known = Names::default();
    for op in flatten(&variant.setup).filter_map(Step::op) {
        known.take(op);
    }
    known.changed.clear();
    for step in variant.steps() {
        if let (Some(op), None) = (step.op(), step.expected_errno) {
            known.take(op);
        }
        if matches!(moment, Moment::Step(label) if *label == step.name.name) {
            return known.is_changed(path);
        }
    }
    // A line of a program: what the program did is not known here.
    true
}

/// The path whose entry a check looks at.
fn path_of(check: &Check) -> Option<&str> {
    match check {
        Check::Content { path, .. }
        | Check::Exists { path, .. }
        | Check::Absent { path }
        | Check::Size { path, .. }
        | Check::Listing { path, .. }
        | Check::Attributes { path, .. }
        | Check::Xattr { path, .. }
        | Check::NoOldData { path, .. } => Some(path),
        Check::NoForeignData { .. }
        | Check::Auto { .. }
        | Check::Mounts { .. }
        | Check::FsckClean
        | Check::DmesgFree { .. }
        | Check::Verify(_)
        | Check::Measured(_) => None,
    }
}

/// The names that a history makes, moves and removes.
#[derive(Default)]
struct Names {
    /// Those that are there.
    there: BTreeSet<String>,
    /// Those whose entry in the directory changed and was not made durable since.
    changed: BTreeSet<String>,
}

impl Names {
    fn take(&mut self, op: &Op) {
        match facts::names(op) {
            facts::Names::Untouched => {}
            facts::Names::Makes(path) | facts::Names::Links { to: path, .. } => self.make(path),
            facts::Names::Renames { from, to } => {
                self.change(from);
                self.change(to);
            }
            facts::Names::Removes(path) => {
                self.change(path);
                self.there.remove(path);
            }
        }
        match facts::promise(op) {
            Promise::All { path } => {
                let directory = if path == "." { "" } else { path };
                self.changed.retain(|name| parent(name) != directory);
            }
            Promise::Filesystem => self.changed.clear(),
            Promise::Data { .. } | Promise::Nothing => {}
        }
    }

    /// Notes a name that is there now and may have been there before.
    fn make(&mut self, path: &str) {
        if self.there.insert(path.to_owned()) {
            self.changed.insert(path.to_owned());
        }
    }

    fn change(&mut self, path: &str) {
        self.there.insert(path.to_owned());
        self.changed.insert(path.to_owned());
    }

    /// Whether this name or one above it changed since its directory was synced.
    fn is_changed(&self, path: &str) -> bool {
        let mut at = path;
        while !at.is_empty() {
            if self.changed.contains(at) {
                return true;
            }
            at = parent(at);
        }
        false
    }
}

/// The directory that a name is in; the root's is empty.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn rests(workload: &str, expected: &str) -> bool {
        let text = format!(
            "format: 1\nname: n\nfilesystem: {{type: ext4, size: 16MiB}}\nsetup:\n  - write: {{path: old, len: 4KiB}}\n  \
             - mkdir: dir\nworkload:\n{workload}  - mark: saved\nexpect:\n  - {expected}\n    after: saved\n"
        );
        let scenario = Scenario::parse("n.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
        rests_on_names(&scenario.variants()[0])
    }

    #[test]
    fn a_new_name_needs_its_directory() {
        let new = "  - write: {path: dir/new, len: 4KiB, content: new@0}\n  - fsync: dir/new\n";
        let expected = "content: {path: dir/new, is: new@0}";
        assert!(rests(new, expected));
        assert!(!rests(&format!("{new}  - fsync_dir: dir\n"), expected));
        assert!(rests(&format!("{new}  - fsync_dir: /\n"), expected));
        assert!(!rests(&format!("{new}  - syncfs\n"), expected));
    }

    #[test]
    fn a_directory_can_be_synced_by_either_step() {
        let new = "  - write: {path: dir/new, len: 4KiB, content: new@0}\n";
        let expected = "content: {path: dir/new, is: new@0}";
        assert!(!rests(&format!("{new}  - fsync: dir\n"), expected));
        assert!(rests(&format!("{new}  - fsync: old\n"), expected));
        assert!(rests(&format!("{new}  - fdatasync: dir\n"), expected));
    }

    #[test]
    fn a_name_that_was_there_needs_nothing() {
        let old = "  - write: {path: old, len: 8KiB, content: old@1}\n  - fsync: old\n";
        assert!(!rests(old, "size: {path: old, is: 8KiB}"));
        assert!(rests("  - unlink: old\n", "absent: old"));
        assert!(!rests("  - unlink: old\n  - fsync_dir: /\n", "absent: old"));
    }

    #[test]
    fn a_directory_above_counts() {
        let moved = "  - mkdir: a\n  - write: {path: a/f, len: 4KiB, content: f@0}\n  - fsync: a/f\n  - fsync_dir: a\n";
        let expected = "content: {path: a/f, is: f@0}";
        assert!(rests(moved, expected));
        assert!(!rests(&format!("{moved}  - fsync_dir: /\n"), expected));
    }
}
