//! Operations of the agent as steps.

use coldcut_wire::{
    FallocateMode, MsyncMode, Op, PatternName, RenameMode, SyncRangeFlags, WriteFlags, op as args,
};

use super::NotWritten;
use super::fields::{Fields, named, quoted};

/// An operation as a step, without its modifiers: `write: {path: a, offset: 0, len: 4096, content: a@1}`.
///
/// # Errors
/// [`NotWritten`] for what changes no file by itself.
pub fn op(op: &Op) -> Result<String, NotWritten> {
    Ok(match op {
        Op::Mkdir(step) => Fields::of(&step.path)
            .plain("mode", octal(step.mode))
            .maybe("parents", step.parents.then_some(true))
            .under("mkdir"),
        Op::Create(step) => Fields::of(&step.path)
            .plain("mode", octal(step.mode))
            .maybe("exclusive", step.exclusive.then_some(true))
            .under("create"),
        Op::Write(step) => write(step),
        Op::Truncate(step) => Fields::of(&step.path).plain("size", step.size).under("truncate"),
        Op::Fallocate(step) => Fields::of(&step.path)
            .plain("offset", step.offset)
            .plain("len", step.len)
            .plain("mode", fallocate_mode(step.mode))
            .under("fallocate"),
        Op::MmapStore(step) => Fields::of(&step.path)
            .plain("offset", step.offset)
            .plain("len", step.len)
            .text("content", &content(&step.pattern))
            .plain("msync", msync(step.msync))
            .under("mmap_store"),
        Op::Open(step) => open(step),
        Op::Close(step) => format!("close: {}", quoted(&step.handle)),
        Op::Rename(step) => from_to(&step.from, &step.to)
            .maybe("mode", rename_mode(step.mode))
            .under("rename"),
        Op::Link(step) => from_to(&step.from, &step.to).under("link"),
        Op::Symlink(step) => Fields::of(&step.path)
            .text("target", &step.target)
            .under("symlink"),
        Op::Unlink(step) => Fields::of(&step.path).under("unlink"),
        Op::Rmdir(step) => Fields::of(&step.path).under("rmdir"),
        Op::Sync => "sync".to_owned(),
        Op::Syncfs => "syncfs".to_owned(),
        Op::Fsync(step) => format!(
            "{}: {}",
            if step.directory { "fsync_dir" } else { "fsync" },
            quoted(named(&step.path))
        ),
        Op::Fdatasync(step) => format!("fdatasync: {}", quoted(named(&step.path))),
        Op::SyncFileRange(step) => Fields::of(&step.path)
            .plain("offset", step.offset)
            .plain("len", step.len)
            .words("flags", &range_flags(step.flags))
            .under("sync_file_range"),
        Op::Setxattr(_) | Op::Removexattr(_) | Op::Chmod(_) | Op::Chown(_) | Op::Utimes(_) => {
            return attribute(op);
        }
        Op::Sleep(step) => format!("sleep: {}ms", step.millis),
        Op::Commit(step) => format!("commit: {}ms", step.within_ms),
        Op::DropCaches(step) => format!("drop_caches: {}", step.what),
        Op::Sysctl(_)
        | Op::Burst(_)
        | Op::Read(_)
        | Op::Trace(_)
        | Op::Collect(_)
        | Op::Observe(_)
        | Op::Bdi
        | Op::Pipe(_)
        | Op::Socket(_)
        | Op::Transfer(_)
        | Op::Vmsplice(_)
        | Op::Pump(_)
        | Op::Consume(_)
        | Op::Pending(_)
        | Op::WatchJournal => return Err(not_written(op)),
    })
}

/// What changes an inode's attributes.
fn attribute(op: &Op) -> Result<String, NotWritten> {
    Ok(match op {
        Op::Setxattr(step) => {
            let value = std::str::from_utf8(&step.value).map_err(|_| not_written(op))?;
            Fields::of(&step.path)
                .text("name", &step.name)
                .text("value", value)
                .under("setxattr")
        }
        Op::Removexattr(step) => Fields::of(&step.path)
            .text("name", &step.name)
            .under("removexattr"),
        Op::Chmod(step) => Fields::of(&step.path)
            .plain("mode", octal(step.mode))
            .under("chmod"),
        Op::Chown(step) => Fields::of(&step.path)
            .plain("uid", step.uid)
            .plain("gid", step.gid)
            .under("chown"),
        Op::Utimes(step) => Fields::of(&step.path)
            .plain("atime_ns", step.atime_ns)
            .plain("mtime_ns", step.mtime_ns)
            .under("utimes"),
        other => return Err(not_written(other)),
    })
}

fn not_written(op: &Op) -> NotWritten {
    let text = format!("{op:?}");
    NotWritten(text.chars().take_while(char::is_ascii_alphanumeric).collect())
}

fn write(step: &args::Write) -> String {
    let handle = step.path.starts_with("fd:");
    let offset = (!step.flags.append).then_some(step.offset);
    Fields::of(&step.path)
        .maybe("offset", offset)
        .plain("len", step.len)
        .maybe("chunk", (step.chunk > 0).then_some(step.chunk))
        .text("content", &content(&step.pattern))
        .words("flags", &flags(step.flags))
        .maybe("create", (!handle && !step.flags.create).then_some(false))
        .under("write")
}

fn open(step: &args::Open) -> String {
    let usual = !step.read_only;
    Fields::of(&step.path)
        .text("handle", &step.handle)
        .words("flags", &flags(step.flags))
        .maybe("read_only", step.read_only.then_some(true))
        .maybe(
            "create",
            (step.flags.create != usual).then_some(step.flags.create),
        )
        .under("open")
}

fn from_to(from: &str, to: &str) -> Fields {
    Fields::default().path("from", from).path("to", to)
}

fn octal(mode: u32) -> String {
    format!("0o{mode:o}")
}

/// A content as scenarios write it.
pub(super) fn content(pattern: &PatternName) -> String {
    format!("{}@{}", pattern.file, pattern.generation)
}

fn flags(flags: WriteFlags) -> Vec<&'static str> {
    // `create` is a key of its own.
    let WriteFlags {
        create: _,
        truncate,
        append,
        sync,
        dsync,
        direct,
        aio,
    } = flags;
    let all = [
        (truncate, "truncate"),
        (append, "append"),
        (sync, "sync"),
        (dsync, "dsync"),
        (direct, "direct"),
        (aio, "aio"),
    ];
    all.iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect()
}

fn range_flags(flags: SyncRangeFlags) -> Vec<&'static str> {
    let all = [
        (flags.wait_before, "wait_before"),
        (flags.write, "write"),
        (flags.wait_after, "wait_after"),
    ];
    all.iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect()
}

fn fallocate_mode(mode: FallocateMode) -> &'static str {
    match mode {
        FallocateMode::Allocate => "allocate",
        FallocateMode::KeepSize => "keep_size",
        FallocateMode::PunchHole => "punch_hole",
        FallocateMode::ZeroRange => "zero_range",
        FallocateMode::ZeroRangeKeepSize => "zero_range_keep_size",
        FallocateMode::CollapseRange => "collapse_range",
        FallocateMode::InsertRange => "insert_range",
        FallocateMode::UnshareRange => "unshare_range",
    }
}

fn rename_mode(mode: RenameMode) -> Option<&'static str> {
    match mode {
        RenameMode::Replace => None,
        RenameMode::NoReplace => Some("noreplace"),
        RenameMode::Exchange => Some("exchange"),
    }
}

fn msync(mode: MsyncMode) -> &'static str {
    match mode {
        MsyncMode::None => "none",
        MsyncMode::Async => "async",
        MsyncMode::Sync => "sync",
    }
}
