//! Where programs come from: what a file may say, and what that is lowered to.

use std::collections::BTreeMap;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::model::{Programs, Rootfs};
use super::yaml::at::{At, Named};
use super::yaml::error::{Problem, Sink};
use super::yaml::names::parse_path;

/// A root file system for programs: a directory, or `debian` with `packages`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::scenario::yaml::schema::or_directory))]
pub(crate) struct RootfsShape {
    /// Host directory (relative to this file) into which `exec` steps change their root.
    directory: Option<At<String>>,
    /// A suite of Debian's, such as `trixie`: the root file system is made of its packages, unpacked.
    debian: Option<At<String>>,
    /// With `debian`: names of packages, perhaps with `=VERSION`. What they depend on comes with them.
    packages: Option<At<Vec<String>>>,
}

/// What the document or a variant says of programs.
pub(crate) struct Said<'a> {
    pub(crate) programs: Option<&'a String>,
    pub(crate) rootfs: Option<&'a At<RootfsShape>>,
    pub(crate) files: Option<&'a Named<String>>,
}

/// The programs of a variant: what it says in place of what the document says, file by file.
pub(crate) fn lower(base: &Said<'_>, own: &Said<'_>, sink: &Sink) -> Programs {
    let rootfs = own.rootfs.or(base.rootfs);
    let mut files = BTreeMap::new();
    let all = base.files.into_iter().chain(own.files).flat_map(|files| &files.0);
    let mut last = None;
    for (path, text) in all {
        last = Some(path);
        match parse_path(&path.value) {
            Ok(path) if !path.is_empty() => {
                files.insert(path, text.clone());
            }
            Ok(_) => sink.push(Problem::new(&path.span, "the root is no file")),
            Err(message) => sink.push(Problem::new(&path.span, message)),
        }
    }
    let rootfs = rootfs.and_then(|shape| lower_rootfs(shape, sink));
    if let (Some(path), false) = (last, matches!(rootfs, Some(Rootfs::Debian { .. }) | None)) {
        let message = "`files` are added to a root file system of packages; a directory can have them itself";
        sink.push(Problem::new(&path.span, message));
    }
    if let (Some(path), None) = (last, &rootfs) {
        let problem = Problem::new(
            &path.span,
            "`files` are added to a root file system, and here is none",
        );
        sink.push(problem.help("give `rootfs: {debian: SUITE, packages: […]}`"));
    }
    Programs {
        programs: own.programs.or(base.programs).cloned(),
        rootfs,
        files,
    }
}

fn lower_rootfs(shape: &At<RootfsShape>, sink: &Sink) -> Option<Rootfs> {
    let RootfsShape {
        directory,
        debian,
        packages,
    } = &shape.value;
    match (directory, debian, packages) {
        (Some(directory), None, None) => Some(Rootfs::Directory(directory.value.clone())),
        (None, Some(suite), Some(packages)) if !packages.value.is_empty() => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "+-.:~=".contains(c);
            let is_name =
                |text: &str| text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain);
            let wrong = packages.value.iter().find(|name| !is_name(name));
            if let Some(name) = wrong {
                let message = format!("`{name}` is no name of a Debian package");
                sink.push(Problem::new(&packages.span, message));
            }
            if !is_name(&suite.value) {
                let message = format!("`{}` is no name of a Debian suite", suite.value);
                sink.push(Problem::new(&suite.span, message));
            }
            Some(Rootfs::Debian {
                suite: suite.value.clone(),
                packages: packages.value.clone(),
            })
        }
        _ => {
            let message = "expected a directory, or `{debian: SUITE, packages: [NAME…]}`";
            sink.push(Problem::new(&shape.span, message));
            None
        }
    }
}
