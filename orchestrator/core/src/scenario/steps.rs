//! Steps lowered to what the agent does, and what must be known of the steps before one.

use std::collections::BTreeMap;

use coldcut_wire::{MsyncMode, Op, PatternName, RenameMode, SyncRangeFlags, TransferCall, WriteFlags, op};

use super::args::{fallocate_mode, xattr_name};
use super::device_steps::Rules;
use super::model::{Action, Programs, Step};
use super::step_doc::{
    FlagDoc, MmapDoc, MsyncDoc, OpenDoc, RenameModeDoc, StepDoc, SyncRangeFlagDoc, WriteDoc,
};
use super::step_entry::StepEntry;
use super::tasks::Tasks;
use super::yaml::at::At;
use super::yaml::error::{Problem, Sink, Span, line_of};
use super::yaml::names::{Content, HANDLE, Target};
use super::yaml::units::{Millis, Size, show_size};
use crate::recording::mark::StepName;

/// Longest sleep, settling or program, in milliseconds.
pub(crate) const MAX_MILLIS: u64 = 3_600_000;
/// Most bytes that one step writes.
const MAX_LEN: u64 = 1 << 40;

/// What a sequence of steps is lowered with.
pub(crate) struct Lowering<'a> {
    pub(crate) text: &'a str,
    pub(crate) sink: &'a Sink,
    pub(crate) programs: &'a Programs,
    /// Whether these steps are recorded: only then do they have labels.
    pub(crate) recorded: bool,
    /// Open handles and the files they were opened on.
    pub(super) handles: BTreeMap<String, String>,
    /// Labels and where they were given.
    labels: BTreeMap<String, Span>,
    /// Tasks that were started.
    pub(super) tasks: Tasks,
    /// Traces under way: the fields that they are asked for, and where they began.
    pub(super) traces: BTreeMap<String, (Vec<String>, Span)>,
    /// What the device was told.
    pub(super) rules: Rules,
    /// Steps so far: the next one's number.
    count: u32,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(text: &'a str, sink: &'a Sink, programs: &'a Programs, recorded: bool) -> Self {
        Self {
            text,
            sink,
            programs,
            recorded,
            handles: BTreeMap::new(),
            labels: BTreeMap::new(),
            tasks: Tasks::default(),
            traces: BTreeMap::new(),
            rules: Rules::default(),
            count: 0,
        }
    }

    /// Lowers all steps; those that are wrong are left out and in the sink.
    pub(crate) fn steps(&mut self, entries: &[StepEntry]) -> Vec<Step> {
        let steps = self.list(entries);
        self.tasks.at_the_end(self.sink);
        self.uncollected();
        steps
    }

    pub(super) fn list(&mut self, entries: &[StepEntry]) -> Vec<Step> {
        entries.iter().filter_map(|entry| self.step(entry)).collect()
    }

    fn step(&mut self, entry: &StepEntry) -> Option<Step> {
        let index = self.count;
        self.count += 1;
        let label = self.label(entry);
        let action = match self.action(entry) {
            Ok(action) => action,
            Err(problem) => {
                self.sink.push(*problem);
                return None;
            }
        };
        let labelled = label.is_some();
        let name = label.unwrap_or_else(|| format!("{}#{index}", entry.key.value));
        Some(Step {
            name: StepName { index, name },
            labelled,
            action,
            expected_errno: entry.errno.as_ref().and_then(|e| e.value.0).map(|e| e.0),
            any_errno: entry.errno.as_ref().is_some_and(|e| e.value.0.is_none()),
            line: line_of(self.text, entry.key.span.start),
        })
    }

    fn label(&mut self, entry: &StepEntry) -> Option<String> {
        let mark = match &entry.doc {
            StepDoc::Mark(name) => Some(name),
            _ => None,
        };
        let label = match (mark, &entry.label) {
            (Some(_), Some(label)) => {
                let message = "a `mark` is its own label";
                self.sink
                    .push(Problem::new(&label.span, message).label("remove this"));
                return None;
            }
            (Some(label), None) | (None, Some(label)) => label,
            (None, None) => return None,
        };
        let name = &label.value.0;
        if !self.recorded {
            let message = format!("the setup cannot name `{name}`: nothing of it is in the log");
            self.sink
                .push(Problem::new(&label.span, message).help("labels and marks belong into `workload`"));
            return None;
        }
        if let Some(first) = self.labels.get(name) {
            let message = format!("the label `{name}` is used twice");
            let line = line_of(self.text, first.start);
            self.sink
                .push(Problem::new(&label.span, message).label(format!("first used in line {line}")));
            return None;
        }
        self.labels.insert(name.clone(), label.span.clone());
        Some(name.clone())
    }

    fn action(&mut self, entry: &StepEntry) -> Result<Action, Box<Problem>> {
        let path = |p: &At<super::yaml::names::Path>| guest(&p.value.0);
        let op = match &entry.doc {
            StepDoc::Mark(label) => {
                if let Some(errno) = &entry.errno {
                    return Err(Problem::new(&errno.span, "a mark cannot fail").into());
                }
                let _ = label;
                return Ok(Action::Mark);
            }
            StepDoc::Exec(doc) => return self.exec(doc),
            StepDoc::Hold(doc) => return self.hold(doc, entry),
            StepDoc::Fail(doc) => return self.fail(doc, entry),
            StepDoc::WaitHeld(doc) => return self.wait_held(doc, entry),
            StepDoc::Release(doc) => return self.release(doc, entry),
            StepDoc::SetDevice(doc) => return self.set_device(doc, entry),
            StepDoc::Start(doc) => return self.start(doc, entry),
            StepDoc::Join(doc) => return self.join(doc, entry),
            StepDoc::Leave(doc) => return self.leave(doc, entry),
            StepDoc::Open(doc) => self.open(doc)?,
            StepDoc::Close(handle) => {
                let name = &handle.value.0;
                if self.handles.remove(name).is_none() {
                    return Err(self.unknown_handle(name, &handle.span));
                }
                Op::Close(op::Close { handle: name.clone() })
            }
            StepDoc::Write(doc) => self.write(doc, entry.errno.is_some())?,
            StepDoc::MmapStore(doc) => self.mmap(doc)?,
            StepDoc::Mkdir(d) => Op::Mkdir(op::Mkdir {
                path: path(&d.path),
                mode: d.mode.map_or(0o755, |m| m.0),
                parents: d.parents,
            }),
            StepDoc::Create(d) => Op::Create(op::Create {
                path: path(&d.path),
                mode: d.mode.map_or(0o644, |m| m.0),
                exclusive: d.exclusive,
            }),
            StepDoc::Truncate(d) => Op::Truncate(op::Truncate {
                path: self.target(&d.path)?,
                size: d.size.0,
            }),
            StepDoc::Fallocate(d) => Op::Fallocate(op::Fallocate {
                path: self.target(&d.path)?,
                mode: fallocate_mode(d.mode),
                offset: d.offset.map_or(0, |o| o.0),
                len: nonzero(&d.len)?,
            }),
            StepDoc::Rename(d) => Op::Rename(op::Rename {
                from: path(&d.from),
                to: path(&d.to),
                mode: match d.mode {
                    None | Some(RenameModeDoc::Replace) => RenameMode::Replace,
                    Some(RenameModeDoc::Noreplace) => RenameMode::NoReplace,
                    Some(RenameModeDoc::Exchange) => RenameMode::Exchange,
                },
            }),
            StepDoc::Link(d) => Op::Link(op::Link {
                from: path(&d.from),
                to: path(&d.to),
            }),
            StepDoc::Symlink(d) => Op::Symlink(op::Symlink {
                target: d.target.clone(),
                path: path(&d.path),
            }),
            StepDoc::Unlink(d) => Op::Unlink(op::Unlink { path: path(&d.path) }),
            StepDoc::Rmdir(d) => Op::Rmdir(op::Rmdir { path: path(&d.path) }),
            StepDoc::Setxattr(d) => Op::Setxattr(op::Setxattr {
                path: path(&d.path),
                name: xattr_name(&d.name)?,
                value: d.value.clone().into_bytes(),
            }),
            StepDoc::Removexattr(d) => Op::Removexattr(op::Removexattr {
                path: path(&d.path),
                name: xattr_name(&d.name)?,
            }),
            StepDoc::Chmod(d) => Op::Chmod(op::Chmod {
                path: path(&d.path),
                mode: d.mode.0,
            }),
            StepDoc::Chown(d) => Op::Chown(op::Chown {
                path: path(&d.path),
                uid: d.uid,
                gid: d.gid,
            }),
            StepDoc::Utimes(d) => Op::Utimes(op::Utimes {
                path: path(&d.path),
                atime_ns: d.atime_ns,
                mtime_ns: d.mtime_ns,
            }),
            StepDoc::Fsync(d) => Op::Fsync(op::Fsync {
                path: self.target(&d.path)?,
                directory: false,
            }),
            StepDoc::Fdatasync(d) => Op::Fdatasync(op::Fdatasync {
                path: self.target(&d.path)?,
            }),
            StepDoc::FsyncDir(d) => Op::Fsync(op::Fsync {
                path: path(&d.path),
                directory: true,
            }),
            StepDoc::Sync => Op::Sync,
            StepDoc::Syncfs => Op::Syncfs,
            StepDoc::SyncFileRange(d) => {
                let has = |flag| d.flags.as_ref().is_none_or(|f| f.contains(&flag));
                Op::SyncFileRange(op::SyncFileRange {
                    path: self.target(&d.path)?,
                    offset: d.offset.map_or(0, |o| o.0),
                    len: d.len.map_or(0, |l| l.0),
                    flags: SyncRangeFlags {
                        wait_before: has(SyncRangeFlagDoc::WaitBefore),
                        write: has(SyncRangeFlagDoc::Write),
                        wait_after: has(SyncRangeFlagDoc::WaitAfter),
                    },
                })
            }
            StepDoc::Burst(d) => self.burst(d)?,
            StepDoc::Read(d) => self.read(d)?,
            StepDoc::Trace(d) => self.trace(d, entry)?,
            StepDoc::Collect(d) => self.collect(d)?,
            StepDoc::Observe(d) => self.observe(d)?,
            StepDoc::Bdi => Op::Bdi,
            StepDoc::Pipe(d) => self.pipe(d)?,
            StepDoc::Socket(d) => self.socket(d)?,
            StepDoc::Splice(d) => self.transfer(d, TransferCall::Splice)?,
            StepDoc::Tee(d) => self.transfer(d, TransferCall::Tee)?,
            StepDoc::Sendfile(d) => self.transfer(d, TransferCall::Sendfile)?,
            StepDoc::Vmsplice(d) => self.vmsplice(d)?,
            StepDoc::Pump(d) => self.pump(d)?,
            StepDoc::Consume(d) => self.consume(d)?,
            StepDoc::Pending(d) => Op::Pending(op::Pending {
                path: self.stream(&d.path)?,
            }),
            StepDoc::Sleep(millis) => Op::Sleep(op::Sleep {
                millis: bounded(millis)?,
            }),
            StepDoc::Commit(within) => self.commit(within, &entry.key.span)?,
            StepDoc::DropCaches(what) => match what.value {
                1..=3 => Op::DropCaches(op::DropCaches { what: what.value }),
                other => {
                    let message = format!("expected 1 (page cache), 2 (slab) or 3 (both), found {other}");
                    return Err(Problem::new(&what.span, message).into());
                }
            },
            StepDoc::Sysctl(d) => {
                let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                let name = &d.name.value;
                if name.is_empty() || !name.chars().all(fits) || name.split('.').any(str::is_empty) {
                    let message = format!("expected a parameter such as `vm.dirty_bytes`, found `{name}`");
                    return Err(Problem::new(&d.name.span, message).into());
                }
                Op::Sysctl(op::Sysctl {
                    name: name.clone(),
                    value: d.value.clone(),
                })
            }
        };
        Ok(Action::Op(op))
    }

    #[allow(clippy::unnecessary_box_returns)] // every error here is boxed
    fn unknown_handle(&self, name: &str, span: &Span) -> Box<Problem> {
        let problem = Problem::new(span, format!("no handle `{name}` is open here"));
        let open = self.handles.keys().map(String::as_str);
        if self.handles.is_empty() {
            return problem
                .help(format!("open it first: `- open: {{path: …, handle: {name}}}`"))
                .into();
        }
        problem.nearest(name, open).into()
    }

    pub(super) fn target(&self, target: &At<Target>) -> Result<String, Box<Problem>> {
        match target.value.0.strip_prefix(HANDLE) {
            Some(handle) if !self.handles.contains_key(handle) => {
                Err(self.unknown_handle(handle, &target.span))
            }
            Some(_) => Ok(target.value.0.clone()),
            None => Ok(guest(&target.value.0)),
        }
    }

    /// The content given, or the file's own first generation.
    pub(super) fn content(&self, content: Option<&At<Content>>, target: &At<Target>) -> PatternName {
        if let Some(content) = content {
            return content.value.0.clone();
        }
        let path = &target.value.0;
        let file = path
            .strip_prefix(HANDLE)
            .and_then(|handle| self.handles.get(handle))
            .unwrap_or(path);
        PatternName {
            file: file.replace(char::is_whitespace, "_"),
            generation: "0".to_owned(),
        }
    }

    fn write(&self, doc: &WriteDoc, may_fail: bool) -> Result<Op, Box<Problem>> {
        let path = self.target(&doc.path)?;
        let handle = path.starts_with(HANDLE);
        let flags = flags(&doc.flags, doc.create.unwrap_or(true) && !handle);
        if handle && !doc.flags.is_empty() {
            let message = format!("`{path}` is open already: flags belong to its `open` step");
            return Err(Problem::new(&doc.path.span, message).into());
        }
        if flags.aio && (!flags.direct || flags.append) {
            let message = "`aio` needs `direct`, and no `append`: without them it is an ordinary write";
            return Err(Problem::new(&doc.path.span, message).into());
        }
        if let (true, Some(offset)) = (flags.append, &doc.offset) {
            let message = "an appending write has no offset: it starts at the file's end";
            return Err(Problem::new(&offset.span, message).into());
        }
        let fields = [
            ("offset", doc.offset.as_ref()),
            ("len", Some(&doc.len)),
            ("chunk", doc.chunk.as_ref()),
        ];
        for (name, value) in fields {
            if let Some(value) = value
                && flags.direct
                && !may_fail
                && !value.value.0.is_multiple_of(512)
            {
                let message = format!("`{name}` of an O_DIRECT write must be a multiple of 512 bytes");
                let help = "if it is meant to be refused, say so: `errno: EINVAL`";
                let label = format!("is {} more than one", value.value.0 % 512);
                return Err(Problem::new(&value.span, message).label(label).help(help).into());
            }
        }
        let chunk = match &doc.chunk {
            None => 0,
            Some(chunk) => u32::try_from(chunk.value.0)
                .map_err(|_| Problem::new(&chunk.span, "a chunk is less than 4GiB"))?,
        };
        Ok(Op::Write(op::Write {
            path,
            offset: offset(doc.offset.as_ref())?,
            len: nonzero(&doc.len)?,
            chunk,
            pattern: self.content(doc.content.as_ref(), &doc.path),
            flags,
        }))
    }

    fn mmap(&self, doc: &MmapDoc) -> Result<Op, Box<Problem>> {
        Ok(Op::MmapStore(op::MmapStore {
            path: self.target(&doc.path)?,
            offset: offset(doc.offset.as_ref())?,
            len: nonzero(&doc.len)?,
            pattern: self.content(doc.content.as_ref(), &doc.path),
            msync: match doc.msync {
                None | Some(MsyncDoc::None) => MsyncMode::None,
                Some(MsyncDoc::Async) => MsyncMode::Async,
                Some(MsyncDoc::Sync) => MsyncMode::Sync,
            },
        }))
    }

    fn open(&mut self, doc: &OpenDoc) -> Result<Op, Box<Problem>> {
        let handle = doc.handle.value.0.clone();
        if self.handles.contains_key(&handle) {
            let message = format!("the handle `{handle}` is open already");
            return Err(Problem::new(&doc.handle.span, message)
                .help(format!("close it first: `- close: {handle}`"))
                .into());
        }
        only_writes(&doc.flags, &doc.path.span)?;
        self.handles.insert(handle.clone(), doc.path.value.0.clone());
        let create = doc.create.unwrap_or(!doc.read_only);
        Ok(Op::Open(op::Open {
            path: guest(&doc.path.value.0),
            handle,
            flags: flags(&doc.flags, create),
            read_only: doc.read_only,
        }))
    }
}

/// The agent's spelling of a path: the root is `.`.
pub(super) fn guest(path: &str) -> String {
    if path.is_empty() {
        ".".to_owned()
    } else {
        path.to_owned()
    }
}

pub(super) fn flags(list: &[FlagDoc], create: bool) -> WriteFlags {
    let has = |flag| list.contains(&flag);
    WriteFlags {
        create,
        truncate: has(FlagDoc::Truncate),
        append: has(FlagDoc::Append),
        sync: has(FlagDoc::Sync),
        dsync: has(FlagDoc::Dsync),
        direct: has(FlagDoc::Direct),
        aio: has(FlagDoc::Aio),
    }
}

/// `aio` says how one write is made, not how a file is opened.
pub(super) fn only_writes(flags: &[FlagDoc], at: &Span) -> Result<(), Box<Problem>> {
    if flags.contains(&FlagDoc::Aio) {
        return Err(Problem::new(at, "only a `write` of a path can be `aio`").into());
    }
    Ok(())
}

pub(super) fn nonzero(len: &At<Size>) -> Result<u64, Box<Problem>> {
    match len.value.0 {
        0 => Err(Problem::new(&len.span, "`len` must be more than 0 bytes").into()),
        n if n > MAX_LEN => {
            let message = format!(
                "`len` is {}, more than the {} allowed",
                show_size(n),
                show_size(MAX_LEN)
            );
            Err(Problem::new(&len.span, message).into())
        }
        n => Ok(n),
    }
}

pub(super) fn offset(offset: Option<&At<Size>>) -> Result<u64, Box<Problem>> {
    match offset {
        None => Ok(0),
        Some(o) if o.value.0 > MAX_LEN => {
            let message = format!(
                "`offset` is {}, more than the {} allowed",
                show_size(o.value.0),
                show_size(MAX_LEN)
            );
            Err(Problem::new(&o.span, message).into())
        }
        Some(o) => Ok(o.value.0),
    }
}

/// A duration within [`MAX_MILLIS`].
pub(crate) fn bounded(millis: &At<Millis>) -> Result<u64, Box<Problem>> {
    if millis.value.0 > MAX_MILLIS {
        return Err(Problem::new(&millis.span, "at most 60min").into());
    }
    Ok(millis.value.0)
}
