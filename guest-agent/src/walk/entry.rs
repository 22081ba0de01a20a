//! What can be said of an entry without reading its data.

use std::os::fd::{AsRawFd, BorrowedFd};

use coldcut_wire::{EntryKind, TreeEntry};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::lstat;
use crate::failure::strerror;

/// The largest attribute value and list of names that Linux hands out (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
pub(super) const XATTR_MAX: usize = 65_536;

/// Describes `name` in `parent`. `hint` is the directory's own idea of its type, used when lstat fails; `scratch`
/// is at least [`XATTR_MAX`] long.
pub(super) fn describe(
    parent: BorrowedFd<'_>,
    name: &[u8],
    hint: FileType,
    path: &[u8],
    scratch: &mut [u8],
) -> TreeEntry {
    let mut entry = TreeEntry {
        path: path.to_vec(),
        kind: kind(hint),
        mode: 0,
        uid: 0,
        gid: 0,
        size: 0,
        nlink: 0,
        ino: 0,
        blocks: 0,
        rdev: 0,
        mtime_ns: 0,
        xattrs: Vec::new(),
        target: None,
        extents: Vec::new(),
        problems: Vec::new(),
    };
    let stat = match lstat(parent, name) {
        Ok(stat) => stat,
        Err(errno) => {
            entry.problems.push(format!("lstat: {}", strerror(errno)));
            return entry;
        }
    };
    entry.kind = kind(FileType::from_raw_mode(stat.st_mode));
    entry.mode = stat.st_mode & 0o7777;
    entry.uid = stat.st_uid;
    entry.gid = stat.st_gid;
    entry.size = stat.st_size as u64;
    entry.nlink = stat.st_nlink as u32;
    entry.ino = stat.st_ino;
    entry.blocks = stat.st_blocks as u64;
    entry.rdev = stat.st_rdev;
    let seconds: i64 = stat.st_mtime;
    entry.mtime_ns = seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(stat.st_mtime_nsec as i64);
    if entry.kind == EntryKind::Symlink {
        match rustix::fs::readlinkat(parent, name, Vec::new()) {
            Ok(target) => entry.target = Some(target.into_bytes()),
            Err(errno) => entry.problems.push(format!("readlink: {}", strerror(errno))),
        }
    }
    xattrs(parent, name, &mut entry, scratch);
    entry
}

fn kind(file_type: FileType) -> EntryKind {
    match file_type {
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Symlink,
        FileType::Fifo => EntryKind::Fifo,
        FileType::Socket => EntryKind::Socket,
        FileType::CharacterDevice => EntryKind::CharDevice,
        FileType::BlockDevice => EntryKind::BlockDevice,
        FileType::RegularFile | FileType::Unknown => EntryKind::File,
    }
}

/// Reads the extended attributes by way of `/proc`, as no system call takes a directory and a name.
fn xattrs(parent: BorrowedFd<'_>, name: &[u8], entry: &mut TreeEntry, scratch: &mut [u8]) {
    let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    let path = path.as_slice();
    let list = match rustix::fs::llistxattr(path, &mut *scratch) {
        Ok(len) => scratch[..len].to_vec(),
        Err(Errno::OPNOTSUPP) => return,
        Err(errno) => {
            entry.problems.push(format!("listxattr: {}", strerror(errno)));
            return;
        }
    };
    for name in list.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let text = String::from_utf8_lossy(name).into_owned();
        match rustix::fs::lgetxattr(path, name, &mut *scratch) {
            Ok(len) => entry.xattrs.push((text, scratch[..len].to_vec())),
            Err(errno) => entry
                .problems
                .push(format!("getxattr {text}: {}", strerror(errno))),
        }
    }
    entry.xattrs.sort();
}
