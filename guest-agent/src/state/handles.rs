//! What an operation's `path` means: a name below the mount, or an open handle.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use coldcut_wire::Failure;

use crate::failure::refuse;

/// Handles of `Op::Open` by name. A lane that uses one keeps it open, whatever becomes of the name meanwhile.
pub(crate) type Handles = BTreeMap<String, Arc<OwnedFd>>;

/// A resolved `path`.
#[derive(Clone, Debug)]
pub(crate) enum Resolved<'a> {
    /// An open handle.
    Handle(Arc<OwnedFd>),
    /// A path relative to the mount's root; `.` is the root itself.
    Path(&'a str),
}

/// Reads `path`: `fd:NAME` is a handle, anything else a checked relative path.
pub(crate) fn resolve<'a>(handles: &Handles, path: &'a str) -> Result<Resolved<'a>, Failure> {
    match path.strip_prefix("fd:") {
        Some(name) => match handles.get(name) {
            Some(fd) => Ok(Resolved::Handle(Arc::clone(fd))),
            None => Err(refuse(format!(
                "no handle `{name}` is open (open are: {})",
                known(handles)
            ))),
        },
        None => Ok(Resolved::Path(relative(path)?)),
    }
}

fn known(handles: &Handles) -> String {
    if handles.is_empty() {
        return "none".to_owned();
    }
    handles.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Refuses a path that could lead out of the mount by its own text, and returns it as the kernel takes it.
pub(crate) fn relative(path: &str) -> Result<&str, Failure> {
    if path.is_empty() {
        return Ok(".");
    }
    let wrong = |why: &str| Err(refuse(format!("path `{path}` {why}")));
    if path.starts_with('/') {
        return wrong("is absolute; paths are relative to the mounted root");
    }
    if path.contains('\0') {
        return wrong("holds a NUL byte");
    }
    if path.split('/').any(|part| part == "..") {
        return wrong("has a `..`, which could leave the mounted root");
    }
    Ok(path)
}

/// Reads a path where a handle makes no sense, such as a rename's.
pub(crate) fn name_only(path: &str) -> Result<&str, Failure> {
    if path.starts_with("fd:") {
        return Err(refuse(format!("`{path}` is a handle, but a name is needed here")));
    }
    relative(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        for bad in ["/etc", "..", "a/../b", "a/..", "a\0b"] {
            assert!(relative(bad).is_err(), "{bad:?} must be refused");
        }
        for good in ["a", "a/b..", "..a", ".", "a//b"] {
            assert_eq!(relative(good).unwrap(), good);
        }
        assert_eq!(relative("").unwrap(), ".");
    }

    #[test]
    fn an_unknown_handle_names_the_known_ones() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let handles = Handles::from([("log".to_owned(), Arc::new(OwnedFd::from(file)))]);
        let failure = resolve(&handles, "fd:lag").unwrap_err();
        assert_eq!(failure.what, "no handle `lag` is open (open are: log)");
        assert!(name_only("fd:log").is_err());
    }
}
