//! Steps of a workload as steps of a scenario.

use std::collections::BTreeMap;

use coldcut_wire::{FallocateMode, MsyncMode, Op, PatternName, RenameMode, WriteFlags, op};

use super::JlangError;
use super::lines::Line;
use super::names::Names;
use super::open::Open;
use crate::scenario::to_yaml;

/// What `mmapwrite` syncs of the range that it stores, in bytes.
const MSYNCED: u64 = 8192;
/// The attribute that `fsetxattr` sets and `removexattr` removes, and its value.
const XATTR: (&str, &str) = ("user.xattr1", "val1");

/// What J-lang has.
const STEPS: &str = "one of open, opendir, close, mkdir, rmdir, write, dwrite, mmapwrite, falloc, truncate, link, symlink, \
                     rename, unlink, remove, fsetxattr, removexattr, fsync, fdatasync, sync, checkpoint, none";

/// A workload being translated.
#[derive(Clone, Debug, Default)]
pub(super) struct Translation {
    pub(super) names: Names,
    open: Open,
    /// Generations of each file's content so far.
    generations: BTreeMap<String, u32>,
    setup: Vec<String>,
    workload: Vec<String>,
    in_setup: bool,
}

impl Translation {
    /// Steps so far.
    pub(super) fn len(&self) -> usize {
        self.setup.len() + self.workload.len()
    }

    /// The setup and the workload.
    pub(super) fn finish(self) -> (Vec<String>, Vec<String>) {
        (self.setup, self.workload)
    }

    /// Adds what a line does.
    pub(super) fn step(&mut self, line: &Line<'_>, in_setup: bool) -> Result<(), JlangError> {
        if self.in_setup && !in_setup {
            // The setup is unmounted, so nothing of it is still open.
            self.open = Open::default();
        }
        self.in_setup = in_setup;
        match line.key() {
            "open" => self.open_file(line),
            "opendir" => self.open_directory(line),
            "close" => self.close(line),
            "write" => self.write(line),
            "dwrite" => self.write_directly(line),
            "mmapwrite" => self.store(line),
            "falloc" => self.allocate(line),
            "fsetxattr" => self.set_attribute(line),
            "fsync" | "fdatasync" => self.sync(line),
            "sync" => {
                line.ends_after(1)?;
                self.add(&Op::Sync, line)
            }
            "checkpoint" => self.checkpoint(line),
            "none" => line.ends_after(1),
            "mkdir" | "rmdir" | "truncate" | "link" | "symlink" | "rename" | "unlink" | "remove"
            | "removexattr" => self.by_name(line),
            other => Err(JlangError::new(line.number, STEPS, format!("`{other}`"))),
        }
    }

    fn add(&mut self, op: &Op, line: &Line<'_>) -> Result<(), JlangError> {
        let text = to_yaml::op(op).map_err(|why| JlangError::new(line.number, "a step", why.to_string()))?;
        self.list().push(text);
        Ok(())
    }

    fn list(&mut self) -> &mut Vec<String> {
        if self.in_setup {
            &mut self.setup
        } else {
            &mut self.workload
        }
    }

    /// The next generation of what a name's file holds.
    fn content(&mut self, name: &str) -> PatternName {
        let generation = self.generations.entry(name.to_owned()).or_default();
        *generation += 1;
        PatternName {
            file: name.to_owned(),
            generation: generation.to_string(),
        }
    }

    fn open_file(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        let path = self.names.path(line, 1)?;
        let flags = line.word(2, "flags of open(2)")?;
        line.ends_after(4)?;
        let mut given = WriteFlags::default();
        let mut read_only = true;
        for flag in flags.split('|').map(str::trim) {
            match flag {
                "O_RDWR" | "O_WRONLY" => read_only = false,
                "O_RDONLY" | "O_LARGEFILE" | "O_CLOEXEC" => {}
                "O_CREAT" => given.create = true,
                "O_TRUNC" => given.truncate = true,
                "O_APPEND" => given.append = true,
                "O_SYNC" => given.sync = true,
                "O_DSYNC" => given.dsync = true,
                "O_DIRECT" => given.direct = true,
                other => {
                    let expected = "flags of open(2): O_RDWR, O_WRONLY, O_RDONLY, O_CREAT, O_TRUNC, O_APPEND, O_SYNC, O_DSYNC, O_DIRECT";
                    return Err(JlangError::new(line.number, expected, format!("`{other}`")));
                }
            }
        }
        let handle = self.open.file(line.words[1], &path);
        let open = op::Open {
            path,
            handle,
            flags: given,
            read_only,
        };
        self.add(&Op::Open(open), line)
    }

    fn open_directory(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        let path = self.names.path(line, 1)?;
        line.ends_after(3)?;
        self.open.directory(line.words[1], &path);
        Ok(())
    }

    fn close(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        line.ends_after(2)?;
        match self.open.close(line)?.handle {
            Some(handle) => self.add(&Op::Close(op::Close { handle }), line),
            None => Ok(()),
        }
    }

    fn write(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        let path = self.open.handle(line)?;
        let (offset, len) = range(line, 2)?;
        line.ends_after(4)?;
        let pattern = self.content(line.words[1]);
        let write = op::Write {
            path,
            offset,
            len,
            chunk: 0,
            pattern,
            flags: WriteFlags::default(),
        };
        self.add(&Op::Write(write), line)
    }

    /// The descriptor is closed, and another one writes.
    fn write_directly(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        let (offset, len) = range(line, 2)?;
        line.ends_after(4)?;
        if offset % 512 != 0 || len % 512 != 0 {
            let found = format!("{offset} and {len}");
            return Err(JlangError::new(
                line.number,
                "an offset and a length that are multiples of 512",
                found,
            ));
        }
        if self.open.of(line).is_ok()
            && let Some(handle) = self.open.close(line)?.handle
        {
            self.add(&Op::Close(op::Close { handle }), line)?;
        }
        let path = self.names.path(line, 1)?;
        let pattern = self.content(line.words[1]);
        let flags = WriteFlags {
            direct: true,
            sync: true,
            ..WriteFlags::default()
        };
        let write = op::Write {
            path,
            offset,
            len,
            chunk: 0,
            pattern,
            flags,
        };
        self.add(&Op::Write(write), line)
    }

    fn store(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        let path = self.open.handle(line)?;
        let (offset, len) = range(line, 2)?;
        line.ends_after(4)?;
        let mode = FallocateMode::Allocate;
        let allocate = op::Fallocate {
            path: path.clone(),
            mode,
            offset,
            len,
        };
        self.add(&Op::Fallocate(allocate), line)?;
        let pattern = self.content(line.words[1]);
        let synced = len.min(MSYNCED);
        let parts = [
            (offset + synced, len - synced, MsyncMode::None),
            (offset, synced, MsyncMode::Sync),
        ];
        for (offset, len, msync) in parts.into_iter().filter(|(_, len, _)| *len > 0) {
            let store = op::MmapStore {
                path: path.clone(),
                offset,
                len,
                pattern: pattern.clone(),
                msync,
            };
            self.add(&Op::MmapStore(store), line)?;
        }
        Ok(())
    }

    fn allocate(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        let path = self.open.handle(line)?;
        let mode = fallocate_mode(line)?;
        let (offset, len) = range(line, 3)?;
        line.ends_after(5)?;
        let allocate = op::Fallocate {
            path,
            mode,
            offset,
            len,
        };
        self.add(&Op::Fallocate(allocate), line)
    }

    fn set_attribute(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        line.ends_after(2)?;
        let Some(path) = self.open.of(line)?.path.clone() else {
            let expected = "a file that still has the name by which it was opened";
            return Err(JlangError::new(
                line.number,
                expected,
                "one that was removed or replaced",
            ));
        };
        let set = op::Setxattr {
            path: rooted(path),
            name: XATTR.0.to_owned(),
            value: XATTR.1.as_bytes().to_vec(),
        };
        self.add(&Op::Setxattr(set), line)
    }

    fn sync(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        line.ends_after(2)?;
        let descriptor = self.open.of(line)?.clone();
        let data_only = line.key() == "fdatasync";
        let op = match (descriptor.handle, descriptor.path) {
            (Some(handle), _) if data_only => Op::Fdatasync(op::Fdatasync {
                path: format!("fd:{handle}"),
            }),
            (Some(handle), _) => Op::Fsync(op::Fsync {
                path: format!("fd:{handle}"),
                directory: false,
            }),
            (None, Some(path)) if data_only => Op::Fdatasync(op::Fdatasync { path: rooted(path) }),
            (None, Some(path)) => Op::Fsync(op::Fsync {
                path: rooted(path),
                directory: true,
            }),
            (None, None) => {
                let found = "one that was removed or replaced";
                return Err(JlangError::new(
                    line.number,
                    "a directory that still has a name",
                    found,
                ));
            }
        };
        self.add(&op, line)
    }

    fn checkpoint(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        line.ends_after(2)?;
        if self.in_setup {
            return Err(JlangError::new(
                line.number,
                "`checkpoint` under `# run` only",
                "it under `# setup`",
            ));
        }
        // CrashMonkey numbers them, and not always in order.
        let so_far = self
            .workload
            .iter()
            .filter(|step| step.starts_with("mark: "))
            .count();
        self.workload.push(format!("mark: checkpoint-{}", so_far + 1));
        Ok(())
    }

    /// Steps that take names and no descriptor.
    fn by_name(&mut self, line: &Line<'_>) -> Result<(), JlangError> {
        let path = rooted(self.names.path(line, 1)?);
        let (op, words) = match line.key() {
            "mkdir" => (mkdir(line, path)?, 3),
            "rmdir" => {
                self.open.removed(&path);
                (Op::Rmdir(op::Rmdir { path }), 2)
            }
            "truncate" => {
                let size = line.number_at(2, "a size")?;
                (Op::Truncate(op::Truncate { path, size }), 3)
            }
            "link" => {
                let to = rooted(self.names.path(line, 2)?);
                (Op::Link(op::Link { from: path, to }), 3)
            }
            "symlink" => {
                let to = rooted(self.names.path(line, 2)?);
                let up = "../".repeat(to.matches('/').count());
                let target = format!("{up}{path}");
                (Op::Symlink(op::Symlink { target, path: to }), 3)
            }
            "rename" => {
                let to = rooted(self.names.path(line, 2)?);
                self.open.renamed(&path, &to);
                let mode = RenameMode::Replace;
                (Op::Rename(op::Rename { from: path, to, mode }), 3)
            }
            "removexattr" => {
                let name = XATTR.0.to_owned();
                (Op::Removexattr(op::Removexattr { path, name }), 2)
            }
            // unlink and remove: remove(3) of a file is unlink(2).
            _ => {
                self.open.removed(&path);
                (Op::Unlink(op::Unlink { path }), 2)
            }
        };
        line.ends_after(words)?;
        self.add(&op, line)
    }
}

fn mkdir(line: &Line<'_>, path: String) -> Result<Op, JlangError> {
    let word = line.word(2, "permissions such as 0777")?;
    let mode = u32::from_str_radix(word, 8).ok().filter(|mode| *mode <= 0o7777);
    let mode =
        mode.ok_or_else(|| JlangError::new(line.number, "permissions such as 0777", format!("`{word}`")))?;
    Ok(Op::Mkdir(op::Mkdir {
        path,
        // The kernel makes the same of 0777 with the usual umask.
        mode: mode & 0o1755,
        parents: false,
    }))
}

/// The root as the agent spells it.
fn rooted(path: String) -> String {
    if path.is_empty() { ".".to_owned() } else { path }
}

/// Offset and length, which is not zero.
fn range(line: &Line<'_>, at: usize) -> Result<(u64, u64), JlangError> {
    let offset = line.number_at(at, "an offset")?;
    let len = line.number_at(at + 1, "a length")?;
    if len == 0 {
        return Err(JlangError::new(line.number, "a length above zero", "0"));
    }
    Ok((offset, len))
}

fn fallocate_mode(line: &Line<'_>) -> Result<FallocateMode, JlangError> {
    let word = line.word(2, "a mode of fallocate(2)")?;
    let mut flags: Vec<&str> = word
        .split('|')
        .map(|flag| flag.trim().trim_start_matches("FALLOC_FL_"))
        .filter(|flag| *flag != "0")
        .collect();
    flags.sort_unstable();
    Ok(match flags.as_slice() {
        [] => FallocateMode::Allocate,
        ["KEEP_SIZE"] => FallocateMode::KeepSize,
        ["KEEP_SIZE", "PUNCH_HOLE"] => FallocateMode::PunchHole,
        ["ZERO_RANGE"] => FallocateMode::ZeroRange,
        ["KEEP_SIZE", "ZERO_RANGE"] => FallocateMode::ZeroRangeKeepSize,
        ["COLLAPSE_RANGE"] => FallocateMode::CollapseRange,
        ["INSERT_RANGE"] => FallocateMode::InsertRange,
        ["UNSHARE_RANGE"] => FallocateMode::UnshareRange,
        _ => {
            let expected = "0 or flags of fallocate(2), such as FALLOC_FL_ZERO_RANGE|FALLOC_FL_KEEP_SIZE";
            return Err(JlangError::new(line.number, expected, format!("`{word}`")));
        }
    })
}
