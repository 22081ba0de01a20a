//! Random steps, each done to the model too.

use std::fmt::Write as _;

use super::dice::Dice;
use super::model::{File, Model};

const BLOCK: usize = 4096;
/// How long files get, about.
const LONG: usize = 96 << 10;
/// How long tiny files get.
const SHORT: usize = 200;
/// Generations of a file at most: a model's byte holds one.
const GENERATIONS: u8 = 250;
const DIRECTORIES: [&str; 3] = ["", "d1", "d2"];
/// So long that directories of small blocks fill up soon.
const LONG_NAME: &str = "a-name-so-long-that-a-directory-of-small-blocks-is-full-after-a-few-like-it-";

/// A history in the making.
pub(super) struct History {
    dice: Dice,
    model: Model,
    setup: String,
    workload: String,
    /// Steps of the workload so far; none while the setup is made.
    steps: Option<usize>,
    names: usize,
}

impl History {
    /// A setup with some files, all of it durable.
    pub(super) fn new(seed: u64) -> Self {
        let mut history = Self {
            dice: Dice::new(seed),
            model: Model::default(),
            setup: String::new(),
            workload: String::new(),
            steps: None,
            names: 0,
        };
        history.step("mkdir: d1");
        history.step("mkdir: d2");
        for _ in 0..2 + history.dice.below(4) {
            history.create();
        }
        history.step("sync: {}");
        history.model.sync_all(None);
        history.steps = Some(0);
        history
    }

    /// Steps of the workload so far.
    pub(super) fn len(&self) -> usize {
        self.steps.unwrap_or(0)
    }

    /// One more step, or none where the chosen one makes no sense.
    pub(super) fn go_on(&mut self) {
        let Some((name, file)) = self.any_file() else {
            return self.create();
        };
        match self.dice.below(100) {
            0..6 => self.create(),
            6..20 => self.write(&name, file),
            20..27 => self.write_direct(&name, file),
            27..34 => self.truncate(&name, file),
            34..46 => self.fallocate(&name, file),
            46..51 => self.store(&name, file),
            51..72 => self.fsync(&name, file),
            72..80 => self.rename(&name, file),
            80..84 => self.link(&name, file),
            84..88 => self.unlink(&name),
            88..90 => self.setxattr(&name),
            90..99 => {
                let directory = self.dice.pick(&DIRECTORIES);
                self.fsync_dir(directory);
            }
            _ => {
                let step = self.step("sync: {}");
                self.model.sync_all(step);
            }
        }
    }

    /// Syncs everything, one by one, so that every promise is put to the test.
    pub(super) fn finish(&mut self) {
        for file in 0..self.model.files.len() {
            if let Some(name) = self.model.names_of(file).first().cloned() {
                let step = self.step(&format!("fsync: {name}"));
                self.synced(file, step);
            }
        }
        for directory in DIRECTORIES {
            self.fsync_dir(directory);
        }
    }

    /// `setup`, `workload` and `expect`.
    pub(super) fn write_to(&self, yaml: &mut String) {
        let _ = write!(
            yaml,
            "\nsetup:\n{}\nworkload:\n{}\nexpect:\n",
            self.setup, self.workload
        );
        self.model.write(yaml);
        yaml.push_str("  - no_foreign_data: all\n  - fsck: clean\n");
    }

    /// Adds a step; gives its number in the workload.
    fn step(&mut self, text: &str) -> Option<usize> {
        let Some(steps) = &mut self.steps else {
            let _ = writeln!(self.setup, "  - {text}");
            return None;
        };
        *steps += 1;
        let _ = writeln!(self.workload, "  - {text}\n    label: s{steps}");
        Some(*steps)
    }

    fn next(&self) -> usize {
        self.len() + 1
    }

    fn synced(&mut self, file: usize, step: Option<usize>) {
        if let Some(step) = step {
            self.model.sync_file(file, step);
        }
    }

    fn any_file(&mut self) -> Option<(String, usize)> {
        let names = self.model.present();
        let name = (*names.get(self.dice.below(names.len()))?).to_owned();
        let file = self.model.names[&name]?;
        Some((name, file))
    }

    /// A name that names nothing: new, or of something that was removed.
    fn free_name(&mut self) -> String {
        let removed: Vec<&String> = self
            .model
            .names
            .iter()
            .filter(|(_, file)| file.is_none())
            .map(|(name, _)| name)
            .collect();
        if !removed.is_empty() && self.dice.percent(40) {
            return removed[self.dice.below(removed.len())].clone();
        }
        self.names += 1;
        let (directory, long) = (self.dice.pick(&DIRECTORIES), self.dice.pick(&["", LONG_NAME]));
        let name = format!("{long}n{}", self.names);
        if directory.is_empty() {
            name
        } else {
            format!("{directory}/{name}")
        }
    }

    fn create(&mut self) {
        let name = self.free_name();
        let tiny = self.dice.percent(25);
        let len = if tiny {
            1 + self.dice.below(150)
        } else {
            self.dice.pick(&[1000, BLOCK, 9000, 16 << 10, 64 << 10])
        };
        let file = self.model.files.len();
        let content = format!("f{}", file + 1);
        let next = self.next();
        self.model.rename(&name, Some(file), next);
        self.step(&format!(
            "write: {{path: {name}, len: {len}, content: {content}@1}}"
        ));
        let mut made = File {
            content,
            data: Vec::new(),
            generation: 0,
            tiny,
            synced: false,
        };
        made.put(0, len);
        self.model.files.push(made);
    }

    /// Some bytes of a file, or past its end: where, and how many.
    fn range(&mut self, file: usize, unit: usize) -> (usize, usize) {
        let (tiny, len) = (self.model.files[file].tiny, self.model.files[file].data.len());
        if tiny {
            return (self.dice.below(SHORT), 1 + self.dice.below(150));
        }
        let units = LONG.min(len + (16 << 10)) / unit;
        let at = self.dice.below(units) * unit;
        match unit {
            1 => (at, 1 + self.dice.below(9000)),
            unit => (at, self.dice.pick(&[1, 2, 3, 4, 6, 8]) * unit),
        }
    }

    /// Whether the file can have one more generation.
    fn writable(&self, file: usize) -> bool {
        self.model.files[file].generation < GENERATIONS
    }

    /// A new generation of some bytes: the content's name.
    fn put(&mut self, file: usize, at: usize, len: usize) -> String {
        let next = self.next();
        self.model.touch(file, next);
        let file = &mut self.model.files[file];
        file.put(at, len);
        format!("{}@{}", file.content, file.generation)
    }

    fn write(&mut self, name: &str, file: usize) {
        if !self.writable(file) {
            return;
        }
        let unit = self.dice.pick(&[1, 512, BLOCK, BLOCK]);
        let (mut at, len) = self.range(file, unit);
        if self.dice.percent(30) {
            at = self.model.files[file].data.len();
        }
        let content = self.put(file, at, len);
        let flags = self
            .dice
            .pick(&["", "", "", ", flags: [sync]", ", flags: [dsync]"]);
        self.step(&format!(
            "write: {{path: {name}, offset: {at}, len: {len}, content: {content}{flags}}}"
        ));
    }

    fn write_direct(&mut self, name: &str, file: usize) {
        if !self.writable(file) || self.model.files[file].tiny {
            return;
        }
        let (at, len) = self.range(file, BLOCK);
        let content = self.put(file, at, len);
        let flags = self.dice.pick(&["direct", "direct, dsync", "direct, aio"]);
        self.step(&format!(
            "write: {{path: {name}, offset: {at}, len: {len}, content: {content}, flags: [{flags}]}}"
        ));
    }

    fn store(&mut self, name: &str, file: usize) {
        let size = self.model.files[file].data.len();
        if !self.writable(file) || size < BLOCK {
            return;
        }
        let at = self.dice.below(size / 512) * 512;
        let len = (self.dice.pick(&[1, 2, 8, 16]) * 512).min(size - at);
        let content = self.put(file, at, len);
        let msync = self.dice.pick(&["none", "async", "sync"]);
        self.step(&format!(
            "mmap_store: {{path: {name}, offset: {at}, len: {len}, content: {content}, msync: {msync}}}"
        ));
    }

    fn truncate(&mut self, name: &str, file: usize) {
        let (size, tiny) = (self.model.files[file].data.len(), self.model.files[file].tiny);
        let more = 1 + self.dice.below(if tiny { 100 } else { 9000 });
        let within = self.dice.below(size + 1);
        let to = self.dice.pick(&[0, size / 2, within, size + more]);
        let next = self.next();
        self.model.touch(file, next);
        self.model.files[file].data.resize(to, 0);
        self.step(&format!("truncate: {{path: {name}, size: {to}}}"));
    }

    fn fallocate(&mut self, name: &str, file: usize) {
        if self.model.files[file].tiny {
            return self.truncate(name, file);
        }
        let mode = self.dice.pick(&[
            "allocate",
            "keep_size",
            "punch_hole",
            "zero_range",
            "zero_range_keep_size",
        ]);
        let unit = self.dice.pick(&[1, 512, BLOCK, BLOCK]);
        let (at, len) = self.range(file, unit);
        let next = self.next();
        self.model.touch(file, next);
        fallocated(&mut self.model.files[file].data, mode, at, len);
        self.step(&format!(
            "fallocate: {{path: {name}, offset: {at}, len: {len}, mode: {mode}}}"
        ));
    }

    fn fsync(&mut self, name: &str, file: usize) {
        let how = self.dice.pick(&["fsync", "fsync", "fdatasync"]);
        let step = self.step(&format!("{how}: {name}"));
        self.synced(file, step);
    }

    fn fsync_dir(&mut self, directory: &str) {
        let path = if directory.is_empty() { "/" } else { directory };
        if let Some(step) = self.step(&format!("fsync_dir: {path}")) {
            self.model.sync_names(directory, step);
        }
    }

    fn rename(&mut self, from: &str, file: usize) {
        let next = self.next();
        let other = self.any_file().filter(|(_, other)| *other != file);
        match (self.dice.below(10), other) {
            (0..3, Some((to, _))) => {
                self.model.rename(from, None, next);
                self.model.rename(&to, Some(file), next);
                self.step(&format!("rename: {{from: {from}, to: {to}}}"));
            }
            (3..5, Some((to, other))) => {
                self.model.rename(from, Some(other), next);
                self.model.rename(&to, Some(file), next);
                self.step(&format!("rename: {{from: {from}, to: {to}, mode: exchange}}"));
            }
            _ => {
                let to = self.free_name();
                self.model.rename(from, None, next);
                self.model.rename(&to, Some(file), next);
                self.step(&format!("rename: {{from: {from}, to: {to}}}"));
            }
        }
    }

    fn link(&mut self, from: &str, file: usize) {
        let (to, next) = (self.free_name(), self.next());
        self.model.rename(&to, Some(file), next);
        self.step(&format!("link: {{from: {from}, to: {to}}}"));
    }

    fn unlink(&mut self, name: &str) {
        if self.model.present().len() < 3 {
            return;
        }
        let next = self.next();
        self.model.rename(name, None, next);
        self.step(&format!("unlink: {name}"));
    }

    fn setxattr(&mut self, name: &str) {
        let (which, len) = (self.dice.below(3), self.dice.pick(&[3, 30, 250]));
        let value = "v".repeat(len);
        self.step(&format!(
            "setxattr: {{path: {name}, name: user.x{which}, value: {value}}}"
        ));
    }
}

/// What fallocate(2) in this mode makes of a file's bytes.
fn fallocated(data: &mut Vec<u8>, mode: &str, at: usize, len: usize) {
    let end = at + len;
    if matches!(mode, "allocate" | "zero_range") && data.len() < end {
        data.resize(end, 0);
    }
    if !matches!(mode, "allocate" | "keep_size") && at < data.len() {
        let end = end.min(data.len());
        data[at..end].fill(0);
    }
}
