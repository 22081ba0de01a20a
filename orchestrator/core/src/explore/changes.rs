//! Every change of a kind within bounds, in order.

use coldcut_wire::FallocateMode;

use super::bounds::Bounds;
use super::change::{Change, Cut, How, Kind, Moved, Span};

/// Modes of fallocate(2), and where each is tried.
const FALLOCATE: [(FallocateMode, &[Span]); 7] = [
    (FallocateMode::Allocate, &[Span::End, Span::Across]),
    (FallocateMode::KeepSize, &[Span::End, Span::Across]),
    (FallocateMode::PunchHole, &[Span::Middle, Span::Across]),
    (FallocateMode::ZeroRange, &[Span::Middle, Span::Across]),
    (
        FallocateMode::ZeroRangeKeepSize,
        &[Span::Middle, Span::Across, Span::End],
    ),
    (FallocateMode::CollapseRange, &[Span::Start]),
    (FallocateMode::InsertRange, &[Span::Start]),
];

/// Every change of a kind.
pub(super) fn changes(kind: Kind, bounds: &Bounds) -> Vec<Change> {
    let (files, directories) = (&bounds.files, &bounds.directories);
    match kind {
        Kind::Create => each(files, Change::Create),
        Kind::Mkdir => each(directories, Change::Mkdir),
        Kind::Rmdir => each(directories, Change::Rmdir),
        Kind::UnlinkOpen => each(files, Change::UnlinkOpen),
        Kind::RmdirOpen => each(directories, Change::RmdirOpen),
        Kind::Removexattr => each(files, |path| Change::Removexattr { path }),
        Kind::Write | Kind::DirectWrite | Kind::MmapStore | Kind::Fallocate | Kind::Truncate => {
            files.iter().flat_map(|file| of_data(kind, file)).collect()
        }
        Kind::Link => pairs(files, |from, to| Change::Link { from, to }),
        Kind::Symlink => pairs(files, |target, path| Change::Symlink { path, target }),
        Kind::ReplaceOpen => pairs(files, |from, to| Change::ReplaceOpen { from, to }),
        Kind::Unlink => {
            let unlink = |symlink| each(files, move |path| Change::Unlink { path, symlink });
            [unlink(false), unlink(true)].concat()
        }
        Kind::Rename => renames(bounds),
        Kind::Exchange => {
            // Either way it is the same.
            let exchange = |names: &[String], what| {
                let ordered = |from: &String, to: &String| {
                    let at = |name| names.iter().position(|n| n == name);
                    at(from) < at(to)
                };
                let mut all = pairs(names, |from, to| (from, to));
                all.retain(|(from, to)| ordered(from, to));
                let change = |(from, to)| Change::Exchange { from, to, what };
                all.into_iter().map(change).collect::<Vec<_>>()
            };
            [
                exchange(files, Moved::File),
                exchange(directories, Moved::Directory),
            ]
            .concat()
        }
        Kind::Setxattr => {
            let set = |names, directory| each(names, move |path| Change::Setxattr { path, directory });
            [set(files, false), set(directories, true)].concat()
        }
        Kind::Chmod => {
            let set = |names, directory| each(names, move |path| Change::Chmod { path, directory });
            [set(files, false), set(directories, true)].concat()
        }
    }
}

fn each(names: &[String], change: impl Fn(String) -> Change) -> Vec<Change> {
    names.iter().cloned().map(change).collect()
}

/// Ordered pairs of different names.
fn pairs<T>(names: &[String], change: impl Fn(String, String) -> T) -> Vec<T> {
    let mut all = Vec::new();
    for from in names {
        for to in names.iter().filter(|to| *to != from) {
            all.push(change(from.clone(), to.clone()));
        }
    }
    all
}

fn renames(bounds: &Bounds) -> Vec<Change> {
    let rename = |names, what, over| pairs(names, move |from, to| Change::Rename { from, to, what, over });
    [
        rename(&bounds.files, Moved::File, false),
        rename(&bounds.files, Moved::File, true),
        rename(&bounds.files, Moved::Symlink, false),
        rename(&bounds.directories, Moved::Directory, false),
        rename(&bounds.directories, Moved::Directory, true),
    ]
    .concat()
}

/// What changes a file's data or space.
fn of_data(kind: Kind, file: &str) -> Vec<Change> {
    let path = || file.to_owned();
    let write = |span, how| Change::Write {
        path: path(),
        span,
        how,
    };
    let store = |span, synced| Change::MmapStore {
        path: path(),
        span,
        synced,
    };
    match kind {
        Kind::Write => vec![
            write(Span::End, How::Buffered),
            write(Span::Middle, How::Buffered),
            write(Span::Across, How::Buffered),
        ],
        Kind::DirectWrite => vec![
            write(Span::End, How::Direct),
            write(Span::Start, How::Direct),
            write(Span::Across, How::Synced),
        ],
        Kind::MmapStore => vec![store(Span::Middle, false), store(Span::Start, true)],
        Kind::Fallocate => FALLOCATE
            .iter()
            .flat_map(|(mode, spans)| spans.iter().map(|span| (*mode, *span)))
            .map(|(mode, span)| Change::Fallocate {
                path: path(),
                mode,
                span,
            })
            .collect(),
        Kind::Truncate => [Cut::Nothing, Cut::Less, Cut::More]
            .into_iter()
            .map(|cut| Change::Truncate { path: path(), cut })
            .collect(),
        Kind::Create
        | Kind::Mkdir
        | Kind::Link
        | Kind::Symlink
        | Kind::Unlink
        | Kind::Rmdir
        | Kind::Rename
        | Kind::Exchange
        | Kind::Setxattr
        | Kind::Removexattr
        | Kind::Chmod
        | Kind::UnlinkOpen
        | Kind::RmdirOpen
        | Kind::ReplaceOpen => Vec::new(),
    }
}
