//! Whether the programs that a scenario names can run in a guest, as far as that can be told without one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use coldcut_core::scenario::{Action, Rootfs, Variant, flatten};
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endianness, ReadCache};

/// Where a guest has its programs.
const PROGRAMS: &str = "/programs";
/// Most symbolic links on the way to a file.
const MOST_LINKS: u32 = 16;

/// What is wrong with the programs of these variants, whose scenario is in this directory; one line each. Programs of
/// packages are not looked for: they are known once the packages are there.
pub(crate) fn problems<'a>(variants: impl IntoIterator<Item = &'a Variant>, home: &Path) -> Vec<String> {
    let mut problems = BTreeSet::new();
    for variant in variants {
        let programs = &variant.programs;
        let (root, below) = match (&programs.rootfs, &programs.programs) {
            (Some(Rootfs::Directory(dir)), _) => (home.join(dir), Path::new("")),
            (None, Some(dir)) => (home.join(dir), Path::new(PROGRAMS)),
            (Some(Rootfs::Debian { .. }), _) | (None, None) => continue,
        };
        let guest = Guest { root, below };
        for name in names(variant) {
            if let Err(problem) = guest.can_run(name) {
                problems.insert(problem);
            }
        }
    }
    problems.into_iter().collect()
}

/// The programs that a variant runs.
fn names(variant: &Variant) -> impl Iterator<Item = &str> {
    let steps = flatten(&variant.setup).chain(variant.steps());
    let of_steps = steps.filter_map(|step| match &step.action {
        Action::Exec { spec, .. } => Some(spec),
        _ => None,
    });
    let specs = of_steps.chain(variant.verifiers().map(|(_, verifier)| &verifier.spec));
    specs.filter_map(|spec| Some(spec.argv.first()?.as_str()))
}

/// The files of a guest, as far as the host has them: what is in `root` is `below` its root directory.
struct Guest<'a> {
    root: PathBuf,
    below: &'a Path,
}

impl Guest<'_> {
    /// Whether this program can be started.
    fn can_run(&self, name: &str) -> Result<(), String> {
        let path = if name.starts_with('/') {
            PathBuf::from(name)
        } else {
            Path::new(PROGRAMS).join(name)
        };
        let shown = self.root.display();
        let file = self.find(&path, MOST_LINKS).ok_or_else(|| {
            format!(
                "`{name}` is not there: nothing in {shown} is {} in the guest",
                path.display()
            )
        })?;
        let Some(interpreter) = interpreter(&file) else {
            return Ok(());
        };
        if self.find(Path::new(&interpreter), MOST_LINKS).is_some() {
            return Ok(());
        }
        Err(format!(
            "`{name}` needs {interpreter}, which the guest does not have: link it statically, or give a `rootfs` with it and \
             with the libraries that it loads"
        ))
    }

    /// The host's file that is at this path in the guest. Links are followed within it.
    fn find(&self, path: &Path, links: u32) -> Option<PathBuf> {
        let relative = path.strip_prefix("/").ok()?;
        let below = self.below.strip_prefix("/").unwrap_or(self.below);
        let mut at = self.root.clone();
        let mut seen = PathBuf::from("/").join(below);
        let parts: Vec<_> = relative.strip_prefix(below).ok()?.components().collect();
        for (number, part) in parts.iter().enumerate() {
            at.push(part);
            let meta = fs::symlink_metadata(&at).ok()?;
            if meta.is_symlink() {
                let target = seen.join(fs::read_link(&at).ok()?);
                let rest: PathBuf = parts[number + 1..].iter().collect();
                return self.find(&plain(&target.join(rest)), links.checked_sub(1)?);
            }
            seen.push(part);
        }
        at.is_file().then_some(at)
    }
}

/// A path without `.` and `..`, which never lead above the root.
fn plain(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::ParentDir => {
                plain.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    plain
}

/// The program that starts this one, if it needs one: what an ELF file asks for, or what follows `#!`.
fn interpreter(file: &Path) -> Option<String> {
    let mut start = Vec::new();
    File::open(file).ok()?.take(256).read_to_end(&mut start).ok()?;
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?;
        let line = String::from_utf8_lossy(line);
        return line.split_whitespace().next().map(str::to_owned);
    }
    let data = ReadCache::new(File::open(file).ok()?);
    let header = FileHeader64::<Endianness>::parse(&data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, &data).ok()?;
    let asks = segments
        .iter()
        .find(|segment| segment.p_type(endian) == PT_INTERP)?;
    let name = asks.interpreter(endian, &data).ok()??;
    Some(String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use coldcut_core::scenario::Scenario;

    use super::*;

    fn scenario(programs: &str, argv: &str) -> Scenario {
        let text = format!(
            "format: 1\nname: x\nfilesystem: {{type: ext4, size: 16MiB}}\n{programs}\n\
             workload: [{{exec: {{argv: [{argv}]}}}}]\nexpect: [{{exists: /a}}]\n"
        );
        Scenario::parse("x.yaml", &text).unwrap()
    }

    #[test]
    fn what_a_program_needs_must_be_there() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        symlink("usr/bin", root.join("bin")).unwrap();
        symlink("../../outside", root.join("usr/bin/out")).unwrap();
        symlink("/usr/bin/loop", root.join("usr/bin/loop")).unwrap();
        fs::write(home.path().join("outside"), "").unwrap();
        fs::write(root.join("usr/bin/script"), "#!/bin/sh -e\n").unwrap();
        fs::write(root.join("usr/bin/plain"), "text").unwrap();
        let found = |argv: &str| problems(scenario("rootfs: root", argv).variants(), home.path()).join("\n");
        assert_eq!(found("/bin/plain"), "");
        assert!(
            found("/bin/script").contains("needs /bin/sh"),
            "{}",
            found("/bin/script")
        );
        for missing in ["/bin/none", "/bin/out", "/bin/loop", "plain"] {
            assert!(
                found(missing).contains("is not there"),
                "{missing}: {}",
                found(missing)
            );
        }
        fs::write(root.join("usr/bin/sh"), "").unwrap();
        assert_eq!(found("/bin/script"), "");
    }

    #[test]
    fn a_dynamic_program_alone_cannot_run() {
        let home = tempfile::tempdir().unwrap();
        let programs = home.path().join("bin");
        fs::create_dir(&programs).unwrap();
        // A test is linked dynamically where the C library is.
        let Some(loader) = interpreter(Path::new("/proc/self/exe")) else {
            return;
        };
        fs::copy("/proc/self/exe", programs.join("dynamic")).unwrap();
        let found = problems(scenario("programs: bin", "dynamic").variants(), home.path());
        assert!(found.len() == 1 && found[0].contains(&loader), "{found:?}");
        let found = problems(scenario("programs: bin", "none").variants(), home.path());
        assert!(found.len() == 1 && found[0].contains("is not there"), "{found:?}");
    }
}
