//! Opening and closing handles.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use coldcut_wire::{Failure, op};
use rustix::fs::{Mode, OFlags};

use super::target::{NEW_FILE, write_flags};
use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};
use crate::state::{State, name_only, resolve};

/// Opens a file and keeps it under the handle's name.
pub(super) fn open(state: &State, op: &op::Open, watch: &mut Stopwatch) -> Result<(), Failure> {
    let handle = &op.handle;
    let taken = || refuse(format!("handle `{handle}` is open already"));
    if state.handles().contains_key(handle) {
        return Err(taken());
    }
    let path = name_only(&op.path)?;
    let access = if op.read_only {
        OFlags::RDONLY
    } else {
        OFlags::RDWR
    };
    let flags = access | write_flags(op.flags) | OFlags::CLOEXEC;
    let mounted = state.mounted()?;
    let fd = watch
        .time(|| rustix::fs::openat(mounted.root(), path, flags, Mode::from_raw_mode(NEW_FILE)))
        .tried(|| format!("open {path}"))?;
    match state.handles().entry(handle.clone()) {
        Entry::Vacant(free) => {
            free.insert(Arc::new(fd));
            Ok(())
        }
        // Another lane was faster.
        Entry::Occupied(_) => Err(taken()),
    }
}

/// Closes a handle.
pub(super) fn close(state: &State, op: &op::Close, watch: &mut Stopwatch) -> Result<(), Failure> {
    // An unknown name gets the message that lists the known ones.
    resolve(&state.handles(), &format!("fd:{}", op.handle))?;
    let fd = state.handles().remove(&op.handle);
    watch.time(|| drop(fd));
    Ok(())
}
