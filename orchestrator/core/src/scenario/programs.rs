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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn read(rest: &str) -> Result<Vec<Programs>, String> {
        let text = format!(
            "format: 1\nname: x\nfilesystem: {{type: ext4, size: 16MiB}}\nworkload: [{{mark: a}}]\n\
             expect: [{{absent: /a}}]\n{rest}"
        );
        let scenario = Scenario::parse("x.yaml", &text).map_err(|errors| errors.to_string())?;
        Ok(scenario.variants().iter().map(|v| v.programs.clone()).collect())
    }

    #[test]
    fn a_variant_has_programs_of_its_own() {
        let found = read(
            "rootfs: tree\nvariants:\n  a: {}\n  b:\n    rootfs: {debian: trixie, packages: [sqlite3]}\n    \
             files: {/etc/x: one, y: two}\n",
        )
        .unwrap();
        assert_eq!(found[0].rootfs, Some(Rootfs::Directory("tree".to_owned())));
        let packages = Rootfs::Debian {
            suite: "trixie".to_owned(),
            packages: vec!["sqlite3".to_owned()],
        };
        assert_eq!(found[1].rootfs, Some(packages));
        let files: Vec<&str> = found[1].files.keys().map(String::as_str).collect();
        assert_eq!(files, ["etc/x", "y"]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (rest, why) in [
            ("rootfs: {debian: trixie}", "expected a directory, or"),
            (
                "rootfs: {debian: trixie, packages: []}",
                "expected a directory, or",
            ),
            (
                "rootfs: {debian: trixie, packages: [-o]}",
                "no name of a Debian package",
            ),
            (
                "rootfs: {debian: ../x, packages: [a]}",
                "no name of a Debian suite",
            ),
            ("rootfs: tree\nfiles: {a: b}", "a directory can have them itself"),
            ("files: {a: b}", "here is none"),
            ("rootfs: {debian: trixie, packages: [a]}\nfiles: {../a: b}", "a"),
        ] {
            let error = read(rest).unwrap_err();
            assert!(error.contains(why), "{rest}: {error}");
        }
    }
}
