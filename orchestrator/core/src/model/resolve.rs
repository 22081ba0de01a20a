//! Which inode a path means.

use coldcut_wire::EntryKind;

use super::versions::{Versions, When};
use super::{InodeId, Model, Named, Unclear};

/// What the name of a handle begins with.
pub(super) const HANDLE: &str = "fd:";
/// Symbolic links that are followed in one path, as in the kernel (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// Where a path leads.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) directory: InodeId,
    /// The name there; empty for the directory itself.
    pub(super) name: String,
    pub(super) named: Named,
}

/// Components of a path, the last one first.
fn components(path: &str) -> impl Iterator<Item = String> + '_ {
    path.rsplit('/').map(str::to_owned)
}

pub(super) fn unclear<T>(what: impl Into<String>) -> Result<T, Unclear> {
    Err(Unclear(what.into()))
}

impl Model {
    /// Follows a path, through symbolic links but, unless `follow`, not through the last component's own.
    pub(super) fn place(&self, path: &str, follow: bool, by: &When) -> Result<Place, Unclear> {
        let mut above = vec![Self::ROOT];
        let mut todo: Vec<String> = components(path).collect();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let directory = above[above.len() - 1];
            match name.as_str() {
                "" | "." => continue,
                ".." if above.len() > 1 => {
                    above.pop();
                    continue;
                }
                ".." => return unclear(format!("`{path}` leads out of the filesystem")),
                _ => {}
            }
            let named = self.named(directory, &name, by)?;
            let last = todo.is_empty();
            let found = match named {
                Named::Inode(id) => id,
                Named::Nothing if last => {
                    return Ok(Place {
                        directory,
                        name,
                        named,
                    });
                }
                Named::Nothing => return unclear(format!("`{path}`: there is no `{name}`")),
                Named::Unknown => return unclear(format!("what `{path}` leads to is not known")),
            };
            let inode = self.inode(found);
            match (inode.kind, inode.target.as_deref()) {
                (EntryKind::Symlink, Some(target)) if !last || follow => {
                    links += 1;
                    if target.starts_with('/') || links > MAX_LINKS {
                        return unclear(format!("`{path}` leads out of the filesystem, or nowhere"));
                    }
                    todo.extend(components(target));
                }
                _ if last => {
                    return Ok(Place {
                        directory,
                        name,
                        named,
                    });
                }
                (EntryKind::Directory, _) => above.push(found),
                _ => return unclear(format!("`{path}`: `{name}` is no directory")),
            }
        }
        let directory = above[above.len() - 1];
        Ok(Place {
            directory,
            name: String::new(),
            named: Named::Inode(directory),
        })
    }

    /// What a name leads to, for this step.
    fn named(&self, directory: InodeId, name: &str, by: &When) -> Result<Named, Unclear> {
        let inode = self.inode(directory);
        let entry = inode.entries.get(name);
        if entry.is_some_and(|entry: &Versions<Named>| entry.contested(by)) {
            return unclear(format!("`{name}` is changed and used at the same time"));
        }
        Ok(inode.named(name))
    }

    /// The inode that a path or a handle means; `None` for a pipe or a socket.
    pub(super) fn target(&self, path: &str, follow: bool, by: &When) -> Result<Option<InodeId>, Unclear> {
        if let Some(handle) = path.strip_prefix(HANDLE) {
            return Ok(self.opened(handle));
        }
        match self.place(path, follow, by)?.named {
            Named::Inode(id) => Ok(Some(id)),
            Named::Nothing => unclear(format!("there is no `{path}`")),
            Named::Unknown => unclear(format!("what `{path}` leads to is not known")),
        }
    }
}
