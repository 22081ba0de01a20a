//! Checks on what a path holds.

use std::fmt::Write;
use std::ops::Range;

use coldcut_wire::pattern::SECTOR;
use coldcut_wire::{EntryKind, PatternName, Source, TreeEntry, pattern};

use super::CheckOutcome;
use super::bytes;
use super::data::{Distance, covered, describe, distance, printable};
use super::origin::Origins;
use super::tree::{Tree, shown};
use crate::outcome::verdict::ViolationKind;
use crate::scenario::{Accept, Check, SizeRule, Wanted};

/// Names listed in one line of evidence.
const SHOWN: usize = 8;

/// Judges a check on a path.
pub(crate) fn check(check: &Check, tree: &Tree<'_>, origins: &Origins) -> CheckOutcome {
    let result = match check {
        Check::Content {
            path,
            accept,
            or_absent,
        } => content(path, accept, *or_absent, tree, origins),
        Check::Exists { path, kind, target } => exists(path, *kind, target.as_deref(), tree),
        Check::Absent { path } => absent(path, tree, origins),
        Check::Size {
            path,
            accept,
            or_absent,
        } => size(path, accept, *or_absent, tree),
        Check::Listing {
            path,
            is,
            contains,
            excludes,
        } => listing(path, is.as_deref(), contains, excludes, tree),
        Check::Attributes {
            path,
            mode,
            uid,
            gid,
            nlink,
        } => find(path, tree).and_then(|entry| {
            let numbers = [
                ("uid", *uid, entry.uid),
                ("gid", *gid, entry.gid),
                ("link count", *nlink, entry.nlink),
            ];
            attributes(path, *mode, &numbers, entry)
        }),
        Check::Xattr { path, name, value } => xattr(path, name, value.as_deref(), tree),
        Check::NoOldData { path, than } => old_data(path, than, tree, origins),
        Check::NoForeignData { path } => foreign(path.as_deref(), tree, origins),
        Check::Auto { .. }
        | Check::Mounts { .. }
        | Check::FsckClean
        | Check::DmesgFree { .. }
        | Check::Verify(_)
        | Check::Measured(_) => Ok(()),
    };
    result.err().unwrap_or(CheckOutcome::Holds)
}

type Checked<T> = Result<T, CheckOutcome>;

fn broken<T>(kind: ViolationKind, what: String) -> Checked<T> {
    Err(CheckOutcome::Broken(kind, what))
}

/// `None` when it is not there, and what should have said so could be read.
fn lookup<'a>(path: &str, tree: &Tree<'a>) -> Checked<Option<&'a TreeEntry>> {
    let entry = tree.get(path.as_bytes());
    match tree.unread(path.as_bytes()) {
        Some(problem) if entry.is_none() => {
            let path = shown(path.as_bytes());
            broken(
                ViolationKind::Unreadable,
                format!("{path} cannot be looked up: {problem}"),
            )
        }
        _ => Ok(entry),
    }
}

fn find<'a>(path: &str, tree: &Tree<'a>) -> Checked<&'a TreeEntry> {
    match lookup(path, tree)? {
        Some(entry) => Ok(entry),
        None => broken(
            ViolationKind::Missing,
            format!("{} does not exist", shown(path.as_bytes())),
        ),
    }
}

fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "a file",
        EntryKind::Directory => "a directory",
        EntryKind::Symlink => "a symlink",
        EntryKind::Fifo => "a fifo",
        EntryKind::Socket => "a socket",
        EntryKind::CharDevice => "a character device",
        EntryKind::BlockDevice => "a block device",
    }
}

fn demand(entry: &TreeEntry, kind: EntryKind) -> Checked<()> {
    if entry.kind == kind {
        return Ok(());
    }
    let path = shown(&entry.path);
    broken(
        ViolationKind::Type,
        format!(
            "{path} is {}, expected {}",
            kind_name(entry.kind),
            kind_name(kind)
        ),
    )
}

/// The regular file at `path`; `None` when it may be absent and is.
fn file<'a>(path: &str, or_absent: bool, tree: &Tree<'a>) -> Checked<Option<&'a TreeEntry>> {
    let entry = if or_absent {
        lookup(path, tree)?
    } else {
        Some(find(path, tree)?)
    };
    if let Some(entry) = entry {
        demand(entry, EntryKind::File)?;
    }
    Ok(entry)
}

/// Checks that a file's data is fully reported.
fn reported(entry: &TreeEntry) -> Checked<()> {
    if covered(entry) {
        return Ok(());
    }
    let path = shown(&entry.path);
    match entry.problems.first() {
        Some(problem) => {
            let problem = printable(problem.as_bytes());
            broken(
                ViolationKind::Unreadable,
                format!("{path} cannot be read: {problem}"),
            )
        }
        None => Err(CheckOutcome::Doubt(format!(
            "the walk does not report all data of {path}"
        ))),
    }
}

fn content_name(content: Option<&PatternName>) -> String {
    content.map_or_else(|| "zeros".to_owned(), pattern::label)
}

/// One way to be right.
struct Way<'a> {
    range: Range<u64>,
    /// Whether the file must end with the range.
    whole: bool,
    /// Contents of which every byte may be any; `None` is zeros.
    contents: Vec<Option<&'a PatternName>>,
    /// For the evidence.
    name: String,
}

/// Each way to be right, for a file of `size` bytes.
fn ways(accept: &Accept, size: u64) -> Vec<Way<'_>> {
    match accept {
        Accept::Whole(list) => {
            let lens_differ = list.iter().any(|w| w.len != list[0].len);
            let named = |wanted: &Wanted| {
                let mut name = content_name(wanted.content.as_ref());
                if lens_differ || wanted.len != size {
                    let _ = write!(name, " (size {})", wanted.len);
                }
                name
            };
            let wanted = list.iter().map(|wanted| Way {
                range: 0..wanted.len,
                whole: true,
                contents: vec![wanted.content.as_ref()],
                name: named(wanted),
            });
            wanted.collect()
        }
        Accept::Range {
            offset,
            len,
            contents,
        } => {
            let range = *offset..offset.saturating_add(*len);
            let ways = contents.iter().map(|content| Way {
                name: format!(
                    "{} at {}..{}",
                    content_name(content.as_ref()),
                    range.start,
                    range.end
                ),
                range: range.clone(),
                whole: false,
                contents: vec![content.as_ref()],
            });
            ways.collect()
        }
        Accept::Mix {
            offset,
            len,
            whole,
            contents,
        } => {
            let range = *offset..offset.saturating_add(*len);
            let names: Vec<String> = contents.iter().map(|c| content_name(c.as_ref())).collect();
            vec![Way {
                name: format!("only {} at {}..{}", names.join(" and "), range.start, range.end),
                range,
                whole: *whole,
                contents: contents.iter().map(Option::as_ref).collect(),
            }]
        }
    }
}

fn content(path: &str, accept: &Accept, or_absent: bool, tree: &Tree<'_>, origins: &Origins) -> Checked<()> {
    let Some(entry) = file(path, or_absent, tree)? else {
        return Ok(());
    };
    reported(entry)?;
    let ways = ways(accept, entry.size);
    let mut own = origins.held(path).files;
    let accepted = ways.iter().flat_map(|way| way.contents.iter().flatten());
    own.extend(accepted.map(|content| content.file.clone()));
    let mut nearest: Option<Distance> = None;
    for way in &ways {
        let distance = distance(entry, &way.range, way.whole, &way.contents, &own, origins);
        if distance.bytes == 0 {
            return Ok(());
        }
        if nearest.as_ref().is_none_or(|n| distance.bytes < n.bytes) {
            nearest = Some(distance);
        }
    }
    let kind = nearest.unwrap_or_default().kind();
    let names: Vec<&str> = ways.iter().map(|way| way.name.as_str()).collect();
    let held = describe(entry, origins);
    broken(
        kind,
        format!(
            "{} holds {held}, expected {}",
            shown(path.as_bytes()),
            names.join(" or ")
        ),
    )
}

fn exists(path: &str, kind: Option<EntryKind>, target: Option<&str>, tree: &Tree<'_>) -> Checked<()> {
    let entry = find(path, tree)?;
    if let Some(kind) = kind {
        demand(entry, kind)?;
    }
    let found = entry.target.as_deref().unwrap_or_default();
    match target {
        Some(target) if found != target.as_bytes() => {
            let (path, found) = (shown(path.as_bytes()), printable(found));
            broken(
                ViolationKind::Content,
                format!("{path} points to `{found}`, expected `{target}`"),
            )
        }
        _ => Ok(()),
    }
}

fn absent(path: &str, tree: &Tree<'_>, origins: &Origins) -> Checked<()> {
    let Some(entry) = lookup(path, tree)? else {
        return Ok(());
    };
    let path = shown(path.as_bytes());
    let what = match entry.kind {
        EntryKind::File if covered(entry) => format!("exists and holds {}", describe(entry, origins)),
        kind => format!("exists and is {}", kind_name(kind)),
    };
    broken(
        ViolationKind::Unexpected,
        format!("{path} {what}, expected nothing"),
    )
}

fn size(path: &str, accept: &SizeRule, or_absent: bool, tree: &Tree<'_>) -> Checked<()> {
    let Some(entry) = file(path, or_absent, tree)? else {
        return Ok(());
    };
    let (right, wanted) = match accept {
        SizeRule::OneOf(list) => {
            let names: Vec<String> = list.iter().map(u64::to_string).collect();
            (list.contains(&entry.size), names.join(" or "))
        }
        SizeRule::Between(min, u64::MAX) => (entry.size >= *min, format!("at least {min}")),
        SizeRule::Between(min, max) => ((*min..=*max).contains(&entry.size), format!("{min} to {max}")),
    };
    if right {
        return Ok(());
    }
    broken(
        ViolationKind::Size,
        format!(
            "{} has size {}, expected {wanted}",
            shown(path.as_bytes()),
            entry.size
        ),
    )
}

fn listing(
    path: &str,
    is: Option<&[String]>,
    contains: &[String],
    excludes: &[String],
    tree: &Tree<'_>,
) -> Checked<()> {
    let directory = find(path, tree)?;
    demand(directory, EntryKind::Directory)?;
    if let Some(problem) = tree.unread(path.as_bytes()) {
        return broken(ViolationKind::Unreadable, problem);
    }
    let names = tree.names(path.as_bytes());
    let lost = |n: &[u8]| path.is_empty() && n == b"lost+found";
    let has = |n: &String| names.contains(n.as_bytes());
    let mut wrong: Vec<String> = Vec::new();
    for name in is.unwrap_or_default().iter().chain(contains).filter(|n| !has(n)) {
        wrong.push(format!("lacks {name}"));
    }
    if let Some(is) = is {
        let surplus = names
            .iter()
            .filter(|n| !is.iter().any(|i| i.as_bytes() == **n) && !lost(n));
        wrong.extend(surplus.map(|n| format!("has {}", printable(n))));
    }
    wrong.extend(excludes.iter().filter(|n| has(n)).map(|n| format!("has {n}")));
    if wrong.is_empty() {
        return Ok(());
    }
    let more = wrong.len().saturating_sub(SHOWN);
    wrong.truncate(SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    broken(
        ViolationKind::Listing,
        format!("directory {} {}{more}", shown(path.as_bytes()), wrong.join(", ")),
    )
}

fn attributes(
    path: &str,
    mode: Option<u32>,
    numbers: &[(&str, Option<u32>, u32)],
    entry: &TreeEntry,
) -> Checked<()> {
    let mut wrong = Vec::new();
    if let Some(mode) = mode.filter(|m| *m != entry.mode) {
        wrong.push(format!("mode {:04o}, expected {mode:04o}", entry.mode));
    }
    for (name, wanted, found) in numbers {
        if let Some(wanted) = wanted.filter(|w| w != found) {
            wrong.push(format!("{name} {found}, expected {wanted}"));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    broken(
        ViolationKind::Attributes,
        format!("{} has {}", shown(path.as_bytes()), wrong.join("; ")),
    )
}

fn xattr(path: &str, name: &str, value: Option<&str>, tree: &Tree<'_>) -> Checked<()> {
    let entry = find(path, tree)?;
    let found = entry
        .xattrs
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, v)| v.as_slice());
    if found == value.map(str::as_bytes) {
        return Ok(());
    }
    if found.is_none()
        && let Some(problem) = entry.problems.first()
    {
        let (path, problem) = (shown(path.as_bytes()), printable(problem.as_bytes()));
        return broken(ViolationKind::Unreadable, format!("{path}: {problem}"));
    }
    let says = |v: Option<&[u8]>| v.map_or_else(|| "nothing".to_owned(), |v| format!("`{}`", printable(v)));
    let (path, found, wanted) = (
        shown(path.as_bytes()),
        says(found),
        says(value.map(str::as_bytes)),
    );
    broken(
        ViolationKind::Attributes,
        format!("{path} has {name} {found}, expected {wanted}"),
    )
}

/// One path or, for `None`, every regular file. There must be data to judge.
fn foreign(path: Option<&str>, tree: &Tree<'_>, origins: &Origins) -> Checked<()> {
    let mut judged = false;
    match path {
        Some(path) => {
            if let Some(entry) = lookup(path, tree)? {
                demand(entry, EntryKind::File)?;
                judged |= foreign_in(entry, origins)?;
            }
        }
        None => {
            for entry in tree.all().iter().filter(|e| e.kind == EntryKind::File) {
                judged |= foreign_in(entry, origins)?;
            }
        }
    }
    if judged { Ok(()) } else { Err(CheckOutcome::Idle) }
}

/// Whether the file has data, all of it its own.
fn foreign_in(entry: &TreeEntry, origins: &Origins) -> Checked<bool> {
    reported(entry)?;
    let held = origins.held(&String::from_utf8_lossy(&entry.path));
    let own = &held.files;
    let moved = held.displaced || origins.shifts;
    let accepted: Vec<Option<&PatternName>> = origins.contents_of(own).map(Some).chain([None]).collect();
    for extent in &entry.extents {
        let kind = match &extent.source {
            Source::Zeros => continue,
            Source::Garbage => ViolationKind::Garbage,
            Source::Unreadable { .. } => ViolationKind::Unreadable,
            Source::Content { id, at, .. } => match origins.content(*id) {
                Some(c) if own.contains(&c.file) && (*at == extent.offset || moved) => continue,
                Some(c) if own.contains(&c.file) => ViolationKind::Content,
                _ => ViolationKind::StaleData,
            },
        };
        let end = extent.offset.saturating_add(extent.len);
        if bytes::wrong(extent, extent.offset, end, &accepted, origins) == 0 {
            continue;
        }
        // Sectors prove themselves wherever they are, but only if they begin where a sector does.
        let part = kind == ViolationKind::Garbage
            || (kind == ViolationKind::StaleData && extent.len < SECTOR as u64);
        if held.displaced && part {
            return Err(CheckOutcome::Doubt(format!(
                "{} holds {}: data was moved to it, and parts of displaced sectors cannot be told from others' data",
                shown(&entry.path),
                describe(entry, origins)
            )));
        }
        let (path, held) = (shown(&entry.path), describe(entry, origins));
        return broken(kind, format!("{path} holds {held}, expected only its own data"));
    }
    Ok(entry.size > 0)
}

/// Whether the file holds nothing of its own that is older than a content. There must be data to judge.
fn old_data(path: &str, than: &PatternName, tree: &Tree<'_>, origins: &Origins) -> Checked<()> {
    let Some(entry) = lookup(path, tree)? else {
        return Err(CheckOutcome::Idle);
    };
    demand(entry, EntryKind::File)?;
    reported(entry)?;
    let own = origins.own(path);
    let than_id = pattern::pattern_id(than);
    let is_old =
        |id: u64| origins.content(id).is_some_and(|c| own.contains(&c.file)) && origins.older(id, than_id);
    // A part of a sector may be called by an old content's name and hold what a newer one has there too.
    let newer = origins.contents().filter(|(id, _)| !is_old(*id));
    let accepted: Vec<Option<&PatternName>> = newer.map(|(_, name)| Some(name)).chain([None]).collect();
    let old = entry.extents.iter().any(|extent| match &extent.source {
        Source::Content { id, .. } if is_old(*id) => {
            let end = extent.offset.saturating_add(extent.len);
            bytes::wrong(extent, extent.offset, end, &accepted, origins) > 0
        }
        _ => false,
    });
    if old {
        let (path, held) = (shown(&entry.path), describe(entry, origins));
        let than = pattern::label(than);
        return broken(
            ViolationKind::OldData,
            format!("{path} holds {held}, expected nothing of its own from before {than}"),
        );
    }
    if entry.size > 0 {
        Ok(())
    } else {
        Err(CheckOutcome::Idle)
    }
}
