//! What a variant does, in parts.

use super::simpler::simpler;
use crate::scenario::to_yaml::{Document, NotWritten, expectation, step};
use crate::scenario::{Action, Check, Filesystem, FsSource, MountFlag, Step, Variant};

/// A step, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whether it is recorded; otherwise it is part of the setup.
    pub recorded: bool,
    /// The step.
    pub step: Step,
}

/// What a variant does, and on what.
#[derive(Clone, Debug)]
pub struct History {
    variant: Variant,
    /// Its steps, the setup's first.
    pub entries: Vec<Entry>,
    /// How the filesystem is made and mounted, which may be simpler than the variant's.
    filesystem: Filesystem,
}

impl History {
    /// The history of a variant.
    ///
    /// # Errors
    /// [`NotWritten`] where it is more than steps on files: tasks, programs, faults, images, several disks.
    pub fn new(variant: &Variant) -> Result<Self, NotWritten> {
        let entry = |recorded| {
            move |step: &Step| Entry {
                recorded,
                step: step.clone(),
            }
        };
        let setup = variant.setup.iter().map(entry(false));
        let history = Self {
            entries: setup.chain(variant.workload.iter().map(entry(true))).collect(),
            filesystem: variant.filesystem.clone(),
            variant: variant.clone(),
        };
        history.document("history", &history.entries)?;
        Ok(history)
    }

    /// The history as a scenario with these of its entries, to be judged in every state that a cut can leave.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn document(&self, name: &str, entries: &[Entry]) -> Result<Document, NotWritten> {
        let part = |recorded| {
            let entries = entries.iter().filter(move |entry| entry.recorded == recorded);
            entries
                .map(|entry| step(&entry.step))
                .collect::<Result<Vec<_>, _>>()
        };
        let expect = self
            .variant
            .expect
            .iter()
            .filter(|e| !matches!(e.check, Check::Measured(_)));
        Ok(Document {
            comments: Vec::new(),
            name: name.to_owned(),
            summary: format!(
                "The smallest history found that shows what {} does.",
                self.variant.name
            ),
            reference: String::new(),
            filesystem: filesystem(&self.filesystem, self.variant.device.write_cache)?,
            setup: part(false)?,
            workload: part(true)?,
            crash: "all".to_owned(),
            end: "cut".to_owned(),
            expect: expect.map(expectation).collect::<Result<_, _>>()?,
            outcome: "holds".to_owned(),
        })
    }

    /// The same on a filesystem as it comes, without options of its mount; `None` where there are none.
    pub fn in_simplest_mode(&self) -> Option<Self> {
        if self.filesystem.mount.is_empty() && self.filesystem.flags.is_empty() {
            return None;
        }
        let mut simpler = self.clone();
        simpler.filesystem.mount.clear();
        simpler.filesystem.flags.clear();
        Some(simpler)
    }

    /// Entries with one of them made simpler, the greatest simplification first.
    pub fn simpler(entries: &[Entry]) -> Vec<Vec<Entry>> {
        let mut all = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let Action::Op(op) = &entry.step.action else {
                continue;
            };
            for op in simpler(op) {
                let mut changed = entries.to_vec();
                changed[at].step.action = Action::Op(op);
                all.push(changed);
            }
        }
        all
    }
}

/// A filesystem as a scenario's part in YAML.
fn filesystem(fs: &Filesystem, write_cache: bool) -> Result<String, NotWritten> {
    let FsSource::Make { size, mkfs } = &fs.source else {
        return Err(NotWritten("image".to_owned()));
    };
    if !fs.disks.is_empty() {
        return Err(NotWritten("disks".to_owned()));
    }
    let options: Vec<String> = mkfs.iter().map(|word| format!("{word:?}")).collect();
    let mut lines = vec![
        "filesystem:".to_owned(),
        format!("  type: {}", fs.fstype),
        format!("  size: {size}"),
    ];
    if !options.is_empty() {
        lines.push(format!("  mkfs: [{}]", options.join(", ")));
    }
    if !fs.mount.is_empty() {
        lines.push(format!("  mount: {:?}", fs.mount));
    }
    if !fs.flags.is_empty() {
        let flags: Vec<&str> = fs.flags.iter().map(|flag: &MountFlag| flag.name()).collect();
        lines.push(format!("  flags: [{}]", flags.join(", ")));
    }
    if fs.repair {
        lines.push("  repair: true".to_owned());
    }
    if !write_cache {
        lines.push("device: {write_cache: false}".to_owned());
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    const TEXT: &str = "format: 1
name: h
filesystem: {type: ext4, size: 64MiB, mkfs: ['-b', '4096'], mount: data=journal, flags: [noatime]}
setup:
  - write: {path: a, len: 64KiB, content: a@0}
workload:
  - write: {path: a, offset: 8192, len: 20000, content: a@1, flags: [direct]}
    errno: any
  - mark: saved
expect:
  - exists: {path: a}
    after: saved
  - auto
outcome: holds
";

    #[test]
    fn a_history_that_is_written_says_the_same() {
        let given = Scenario::parse("h", TEXT).unwrap();
        let given = &given.variants()[0];
        let history = History::new(given).unwrap();
        let text = history.document("h", &history.entries).unwrap().to_string();
        let read = Scenario::parse("h", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let read = &read.variants()[0];
        assert_eq!(read.filesystem, given.filesystem);
        let actions = |steps: &[Step]| steps.iter().map(|s| s.action.clone()).collect::<Vec<_>>();
        assert_eq!(actions(&read.setup), actions(&given.setup));
        assert_eq!(actions(&read.workload), actions(&given.workload));
        assert_eq!(read.expect.len(), 2);
        let simple = history.in_simplest_mode().unwrap();
        let text = simple.document("h", &simple.entries).unwrap().to_string();
        assert!(!text.contains("journal") && !text.contains("noatime"), "{text}");
        assert!(simple.in_simplest_mode().is_none());
    }

    #[test]
    fn one_step_at_a_time_is_made_simpler() {
        let given = Scenario::parse("h", TEXT).unwrap();
        let history = History::new(&given.variants()[0]).unwrap();
        let all = History::simpler(&history.entries);
        assert!(all.len() >= 4, "{all:?}");
        for entries in all {
            let changed = entries
                .iter()
                .zip(&history.entries)
                .filter(|(a, b)| a != b)
                .count();
            assert_eq!(changed, 1);
            // Simpler ones become no simpler for ever.
            assert!(entries.len() == history.entries.len());
        }
    }
}
