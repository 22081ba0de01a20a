//! Two recoveries, file by file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use coldcut_wire::{EntryKind, Extent, Source, TreeEntry};

use crate::outcome::recovery::{CallError, Fsck, Recovery};

/// One line of a difference: where, and what the two kernels have there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Difference {
    /// `mount`, `unmount`, `checker`, or a path, with what of it differs.
    pub place: String,
    /// What the first has.
    pub left: String,
    /// What the second has.
    pub right: String,
}

impl Difference {
    fn of(place: impl Into<String>, left: impl Into<String>, right: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            left: left.into(),
            right: right.into(),
        }
    }
}

/// What two kernels made of a disk, where it differs: whether it mounts and unmounts, what the checker says, and each
/// name with its type, attributes, size and where its bytes come from. Inode numbers, blocks used, times and directory
/// sizes are left out: they say nothing about what was kept. The kernel's log is left out too; its words change.
pub fn recoveries(left: &Recovery, right: &Recovery) -> Vec<Difference> {
    let mut out = Vec::new();
    if left.panic.is_some() || right.panic.is_some() {
        let said = |panic: &Option<String>| {
            panic
                .as_ref()
                .map_or("survives".to_owned(), |oops| format!("panics: {oops}"))
        };
        if left.panic.is_some() != right.panic.is_some() {
            out.push(Difference::of("kernel", said(&left.panic), said(&right.panic)));
        }
        return out;
    }
    let mut calls = |place: &str, a: &Option<CallError>, b: &Option<CallError>| {
        let errno = |error: &Option<CallError>| error.as_ref().map(|e| e.errno);
        if errno(a) != errno(b) {
            out.push(Difference::of(place, call(a.as_ref()), call(b.as_ref())));
        }
    };
    calls("mount", &left.mount_error, &right.mount_error);
    calls("unmount", &left.unmount_error, &right.unmount_error);
    if let (Some(a), Some(b)) = (&left.fsck, &right.fsck)
        && a.clean != b.clean
    {
        out.push(Difference::of("checker", checker(a), checker(b)));
    }
    if left.mount_error.is_some() || right.mount_error.is_some() {
        return out;
    }
    let index = |recovery: &Recovery| -> BTreeMap<Vec<u8>, TreeEntry> {
        recovery
            .tree
            .iter()
            .map(|e| (e.path.clone(), e.clone()))
            .collect()
    };
    let (left, right) = (index(left), index(right));
    let mut paths: Vec<&Vec<u8>> = left.keys().chain(right.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let name = name(path);
        match (left.get(path), right.get(path)) {
            (Some(a), Some(b)) => entries(&mut out, &name, a, b),
            (Some(a), None) => out.push(Difference::of(name, summary(a), "absent")),
            (None, Some(b)) => out.push(Difference::of(name, "absent", summary(b))),
            (None, None) => {}
        }
    }
    out
}

fn name(path: &[u8]) -> String {
    if path.is_empty() {
        "/".to_owned()
    } else {
        path.escape_ascii().to_string()
    }
}

fn call(error: Option<&CallError>) -> String {
    error.map_or_else(|| "succeeds".to_owned(), |e| format!("fails: {}", e.what))
}

fn checker(fsck: &Fsck) -> String {
    let first = fsck
        .output
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    if fsck.clean {
        "clean".to_owned()
    } else {
        format!("not clean (code {}): {}", fsck.code, first.trim())
    }
}

/// A name that only one side has, in a few words.
fn summary(entry: &TreeEntry) -> String {
    let mut text = kind(entry.kind).to_owned();
    if entry.kind == EntryKind::File {
        let _ = write!(text, " of {} bytes", entry.size);
        let sources: Vec<String> = entry
            .extents
            .iter()
            .take(4)
            .map(|e| source(&e.source, e.offset))
            .collect();
        if !sources.is_empty() {
            let more = if entry.extents.len() > 4 { ", …" } else { "" };
            let _ = write!(text, ": {}{more}", sources.join(", "));
        }
    }
    text
}

fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink => "symlink",
        EntryKind::Fifo => "fifo",
        EntryKind::Socket => "socket",
        EntryKind::CharDevice => "character device",
        EntryKind::BlockDevice => "block device",
    }
}

fn entries(out: &mut Vec<Difference>, name: &str, a: &TreeEntry, b: &TreeEntry) {
    let mut differ = |what: &str, left: String, right: String| {
        let shown = |text: String| if text.is_empty() { "none".to_owned() } else { text };
        if left != right {
            out.push(Difference::of(
                format!("{name} {what}"),
                shown(left),
                shown(right),
            ));
        }
    };
    if a.kind != b.kind {
        differ("type", summary(a), summary(b));
        return;
    }
    differ("mode", format!("{:04o}", a.mode), format!("{:04o}", b.mode));
    differ(
        "owner",
        format!("{}:{}", a.uid, a.gid),
        format!("{}:{}", b.uid, b.gid),
    );
    differ("links", a.nlink.to_string(), b.nlink.to_string());
    differ("device", a.rdev.to_string(), b.rdev.to_string());
    if a.kind != EntryKind::Directory {
        differ("size", a.size.to_string(), b.size.to_string());
    }
    let target = |e: &TreeEntry| {
        e.target
            .as_ref()
            .map_or_else(String::new, |t| t.escape_ascii().to_string())
    };
    differ("target", target(a), target(b));
    let xattrs = |e: &TreeEntry| -> String {
        let all = e
            .xattrs
            .iter()
            .map(|(name, value)| format!("{name}={}", value.escape_ascii()));
        all.collect::<Vec<_>>().join(" ")
    };
    differ("xattrs", xattrs(a), xattrs(b));
    differ("problems", a.problems.join("; "), b.problems.join("; "));
    for range in ranges(&a.extents, &b.extents) {
        let place = format!("{name} bytes {}+{}", range.offset, range.len);
        out.push(Difference::of(place, range.left, range.right));
    }
}

/// A range of a file whose bytes come from elsewhere.
struct Range {
    offset: u64,
    len: u64,
    left: String,
    right: String,
}

/// The ranges that both files have and whose sources differ.
fn ranges(a: &[Extent], b: &[Extent]) -> Vec<Range> {
    let mut out: Vec<Range> = Vec::new();
    let (mut i, mut j, mut at) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let (end_x, end_y) = (x.offset.saturating_add(x.len), y.offset.saturating_add(y.len));
        let end = end_x.min(end_y);
        at = at.max(x.offset).max(y.offset);
        if at < end {
            // A displaced content is named by where its bytes are from, relative to where they are.
            let (left, right) = (source(&x.source, x.offset), source(&y.source, y.offset));
            if left != right {
                match out.last_mut() {
                    Some(last)
                        if last.offset + last.len == at && last.left == left && last.right == right =>
                    {
                        last.len = end - last.offset;
                    }
                    _ => out.push(Range {
                        offset: at,
                        len: end - at,
                        left,
                        right,
                    }),
                }
            }
            at = end;
        }
        i += usize::from(end_x <= end);
        j += usize::from(end_y <= end);
    }
    out
}

/// Where bytes come from, in words that are the same for every part of an extent.
fn source(source: &Source, offset: u64) -> String {
    match source {
        Source::Zeros => "zeros".to_owned(),
        Source::Content { at, label, .. } if *at == offset => label.clone(),
        Source::Content { at, label, .. } if *at > offset => format!("{label} from {} bytes on", at - offset),
        Source::Content { at, label, .. } => format!("{label} moved by {} bytes", offset - at),
        Source::Garbage => "bytes that nobody wrote".to_owned(),
        Source::Unreadable { errno } => format!("unreadable (errno {errno})"),
    }
}
