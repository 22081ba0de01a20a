//! Persistence points: what is synced after a change.

use coldcut_wire::{Op, op};
use serde::{Deserialize, Serialize};

use super::bounds::{Bounds, parent};
use super::world::{Is, World};

/// A way to make something durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// None; not after the last change.
    None,
    /// fsync(2) of a file that was changed so far, by a name that it has or by a handle.
    Fsync,
    /// fdatasync(2) of a file that the last change was about.
    Fdatasync,
    /// fsync(2) of a directory that was changed, or in which something was.
    FsyncDir,
    /// fsync(2) of a file beside one that was changed.
    FsyncOther,
    /// sync(2).
    Sync,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Fsync,
        Self::Fdatasync,
        Self::FsyncDir,
        Self::FsyncOther,
        Self::Sync,
    ];
}

/// A persistence point with its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Persist {
    pub(super) op: Option<Op>,
    /// The name that it is about, which may not have been used before.
    pub(super) name: Option<String>,
    /// Whether it is about a file that must be there, and may not be known yet.
    pub(super) other: bool,
}

impl Persist {
    fn plain(op: Op) -> Self {
        Self {
            op: Some(op),
            name: None,
            other: false,
        }
    }
}

/// Every persistence point after a change: `used` are all names that changes were about so far, of which the last change's
/// begin at `from`.
pub(super) fn points(
    world: &World,
    bounds: &Bounds,
    used: &[String],
    from: usize,
    last: bool,
) -> Vec<Persist> {
    let mut all = Vec::new();
    for point in &bounds.persist {
        match point {
            Point::None => {
                let none = Persist {
                    op: None,
                    name: None,
                    other: false,
                };
                all.extend((!last).then_some(none));
            }
            Point::Sync => all.push(Persist::plain(Op::Sync)),
            Point::Fsync => all.extend(fsyncs(world, used)),
            Point::Fdatasync => {
                let files = once(&used[from..]).filter(|name| world.is(name) == Some(Is::File));
                let fdatasync =
                    |path: &String| Persist::plain(Op::Fdatasync(op::Fdatasync { path: path.clone() }));
                all.extend(files.map(fdatasync));
            }
            Point::FsyncDir => all.extend(directories(world, used).iter().map(|path| {
                let path = if path.is_empty() { "." } else { path };
                Persist::plain(fsync(path, true))
            })),
            Point::FsyncOther => all.extend(others(bounds, used)),
        }
    }
    all
}

fn fsync(path: &str, directory: bool) -> Op {
    Op::Fsync(op::Fsync {
        path: path.to_owned(),
        directory,
    })
}

/// Each name once, in the order of its first use.
fn once(names: &[String]) -> impl Iterator<Item = &String> {
    let first = |(index, name): &(usize, &String)| !names[..*index].contains(name);
    names.iter().enumerate().filter(first).map(|(_, name)| name)
}

/// Files that were changed, and what is open without a name.
fn fsyncs(world: &World, used: &[String]) -> Vec<Persist> {
    let files = once(used).filter(|name| world.is(name) == Some(Is::File));
    let handles = world.handles.iter().map(|handle| format!("fd:{handle}"));
    let paths = files.cloned().chain(handles);
    paths.map(|path| Persist::plain(fsync(&path, false))).collect()
}

/// Directories that were changed, and those of every name.
fn directories<'u>(world: &World, used: &'u [String]) -> Vec<&'u str> {
    let mut all: Vec<&str> = Vec::new();
    for name in used {
        let own = (world.is(name) == Some(Is::Directory)).then_some(name.as_str());
        for directory in own.into_iter().chain([parent(name)]) {
            if world.is(directory) == Some(Is::Directory) && !all.contains(&directory) {
                all.push(directory);
            }
        }
    }
    all
}

/// Files of the bounds, beside the first one that was used, that no change was about.
fn others(bounds: &Bounds, used: &[String]) -> Vec<Persist> {
    let Some(beside) = used.first().map(|name| parent(name)) else {
        return Vec::new();
    };
    let files = bounds
        .files
        .iter()
        .filter(|name| parent(name) == beside && !used.contains(name));
    files
        .map(|path| Persist {
            op: Some(fsync(path, false)),
            name: Some(path.clone()),
            other: true,
        })
        .collect()
}
