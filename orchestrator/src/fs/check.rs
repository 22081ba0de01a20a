//! Runs a filesystem's checker, which must not change anything, and separately lets it repair. What is run
//! and how it is read stands in [`coldcut_core::filesystem`].

use std::path::Path;

use coldcut_core::filesystem::{FsType, Reading, Repaired};
use coldcut_core::outcome::recovery::Fsck;

use super::LIMIT;
use crate::host::tool::{ToolError, run_tool};

/// Bytes kept of what a checker prints.
const OUTPUT: usize = 64 << 10;

/// Why a checker gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is missing or hangs.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// It could not do its work, which says nothing about the filesystem.
    #[error("`{command}` could not check (exit code {code}): {output}")]
    Operational {
        /// The command.
        command: String,
        /// Its exit code.
        code: i32,
        /// What it printed.
        output: String,
    },
    /// No boot repairs a filesystem of this type.
    #[error("coldcut knows no repair of {0}")]
    NoRepair(String),
}

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairOutcome {
    /// Its report: `clean` says that it changed nothing.
    pub report: Fsck,
    /// Errors are left, at which a boot would stop.
    pub errors_left: bool,
}

/// Runs the checker of `kind` on a raw image; `None` when coldcut knows none for that type.
///
/// # Errors
/// [`CheckError`].
pub async fn check(path: &Path, kind: &str) -> Result<Option<Fsck>, CheckError> {
    check_on(&[path], kind).await
}

/// Runs the checker of `kind` on the raw images of all disks that a filesystem is on; `None` also when the checker can
/// look at one disk only.
///
/// # Errors
/// [`CheckError`].
pub async fn check_on(paths: &[&Path], kind: &str) -> Result<Option<Fsck>, CheckError> {
    let (Some(fstype), [first, others @ ..]) = (FsType::named(kind), paths) else {
        return Ok(None);
    };
    let option = fstype.several.as_ref().and_then(|several| several.checker);
    let mut named = Vec::new();
    for other in others {
        let Some(option) = option else { return Ok(None) };
        named.push((option, *other));
    }
    let checker = &fstype.checker;
    let ran = run(first, &named, checker.program, checker.package, checker.arguments).await?;
    match (checker.reads)(ran.code, &ran.output) {
        Reading::Sound => Ok(Some(ran.report(true))),
        Reading::Damaged => Ok(Some(ran.report(false))),
        Reading::Nothing => Err(ran.operational()),
    }
}

/// Repairs a raw image as a boot does, answering every question with yes.
///
/// # Errors
/// [`CheckError`]; also where no boot repairs `kind`.
pub async fn repair(path: &Path, kind: &str) -> Result<RepairOutcome, CheckError> {
    let fstype = FsType::named(kind);
    let Some(repair) = fstype.as_ref().and_then(|fstype| fstype.repair.as_ref()) else {
        return Err(CheckError::NoRepair(kind.to_owned()));
    };
    let ran = run(path, &[], repair.program, repair.package, repair.arguments).await?;
    let repaired = (repair.reads)(ran.code);
    if repaired == Repaired::Nothing {
        return Err(ran.operational());
    }
    Ok(RepairOutcome {
        report: ran.report(repaired == Repaired::Sound),
        errors_left: repaired == Repaired::ErrorsLeft,
    })
}

/// A checker that has run.
struct Ran {
    command: String,
    code: i32,
    output: String,
}

impl Ran {
    fn report(self, clean: bool) -> Fsck {
        Fsck {
            command: self.command,
            code: self.code,
            clean,
            output: self.output,
        }
    }

    fn operational(self) -> CheckError {
        CheckError::Operational {
            command: self.command,
            code: self.code,
            output: self.output.trim().to_owned(),
        }
    }
}

async fn run(
    path: &Path,
    others: &[(&str, &Path)],
    program: &'static str,
    package: &'static str,
    args: &[&str],
) -> Result<Ran, CheckError> {
    let configure = |command: &mut std::process::Command| {
        command.args(args);
        for (option, other) in others {
            command.arg(option).arg(other);
        }
        command.arg(path).env("LC_ALL", "C");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    };
    let output = run_tool(program, package, configure, LIMIT).await?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    // The image's path differs from state to state; what is wrong with it does not.
    let mut text = text.replace(&path.display().to_string(), "IMAGE");
    for (number, (_, other)) in others.iter().enumerate() {
        text = text.replace(&other.display().to_string(), &format!("IMAGE{}", number + 2));
    }
    if text.len() > OUTPUT {
        let mut end = OUTPUT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    Ok(Ran {
        command: format!("{program} {}", args.join(" ")),
        code: output.status.code().unwrap_or(-1),
        output: text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clean_image_is_clean_and_a_damaged_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.img");
        super::super::make(&path, "ext4", 16 << 20, &[]).await.unwrap();
        assert!(check(&path, "ext4").await.unwrap().unwrap().clean);
        let before = std::fs::read(&path).unwrap();
        let mut damaged = before.clone();
        // The block bitmap of group 0 lies in the first MiB: set bits that nothing explains.
        let root = before.windows(4).position(|w| w == b"lost").unwrap();
        damaged[root..root + 4].copy_from_slice(b"l\0st");
        std::fs::write(&path, &damaged).unwrap();
        let fsck = check(&path, "ext4").await.unwrap().unwrap();
        assert!(!fsck.clean && fsck.code == 4, "{fsck:?}");
        assert_eq!(
            std::fs::read(&path).unwrap(),
            damaged,
            "the checker changed the image"
        );
    }

    /// Damages a new filesystem, block after block, until its checker says so: it then says it by an exit code that is
    /// read.
    #[tokio::test]
    async fn damage_to_each_filesystem_is_found() {
        let dir = tempfile::tempdir().unwrap();
        for fstype in FsType::all() {
            let path = dir.path().join(fstype.name());
            super::super::make(&path, fstype.name(), fstype.min_size, &[])
                .await
                .unwrap();
            let sound = check(&path, fstype.name()).await.unwrap().unwrap();
            assert!(sound.clean, "{sound:?}");
            let mut found = None;
            // From the end, and left damaged: btrfs has its metadata twice. What a checker cannot bear is mended again.
            for block in used_blocks(&path).into_iter().rev() {
                invert(&path, block);
                match check(&path, fstype.name()).await {
                    Ok(Some(fsck)) if !fsck.clean => {
                        found = Some(fsck);
                        break;
                    }
                    Ok(_) => {}
                    Err(_) => invert(&path, block),
                }
            }
            let fsck = found.unwrap_or_else(|| panic!("{fstype}: no damage is found"));
            assert_ne!(fsck.code, 0, "{fsck:?}");
            assert!(
                fstype.checker.first_words(&fsck.output).is_some(),
                "{fstype}: {fsck:?}"
            );
        }
    }

    const BLOCK: u64 = 4096;

    /// The blocks that are not all zeros.
    fn used_blocks(path: &Path) -> Vec<u64> {
        use std::os::unix::fs::FileExt as _;
        let file = std::fs::File::open(path).unwrap();
        let blocks = file.metadata().unwrap().len() / BLOCK;
        let used = |block: &u64| {
            let mut bytes = [0; BLOCK as usize];
            file.read_exact_at(&mut bytes, block * BLOCK).unwrap();
            bytes.iter().any(|byte| *byte != 0)
        };
        (0..blocks).filter(used).collect()
    }

    fn invert(path: &Path, block: u64) {
        use std::os::unix::fs::FileExt as _;
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let mut bytes = [0; 192];
        file.read_exact_at(&mut bytes, block * BLOCK + 64).unwrap();
        let inverted = bytes.map(|byte| !byte);
        file.write_all_at(&inverted, block * BLOCK + 64).unwrap();
    }

    #[tokio::test]
    async fn a_damaged_image_is_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.img");
        super::super::make(&path, "ext4", 16 << 20, &[]).await.unwrap();
        let sound = repair(&path, "ext4").await.unwrap();
        assert!(sound.report.clean && sound.report.code == 0, "{sound:?}");
        let mut damaged = std::fs::read(&path).unwrap();
        let root = damaged.windows(4).position(|w| w == b"lost").unwrap();
        damaged[root..root + 4].copy_from_slice(b"l\0st");
        std::fs::write(&path, &damaged).unwrap();
        let mended = repair(&path, "ext4").await.unwrap();
        assert!(!mended.report.clean && mended.report.code == 1, "{mended:?}");
        assert!(!mended.errors_left);
        assert!(check(&path, "ext4").await.unwrap().unwrap().clean);
        assert!(repair(&path, "xfs").await.is_err());
    }

    #[tokio::test]
    async fn what_is_no_filesystem_is_an_error_and_no_finding() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.img");
        std::fs::write(&path, vec![0; 1 << 20]).unwrap();
        assert!(matches!(
            check(&path, "ext4").await,
            Err(CheckError::Operational { code: 8, .. })
        ));
        for fstype in FsType::all() {
            let absent = dir.path().join("absent");
            let error = check(&absent, fstype.name()).await.unwrap_err();
            assert!(
                matches!(error, CheckError::Operational { .. }),
                "{fstype}: {error}"
            );
        }
        assert!(check(&path, "minix").await.unwrap().is_none());
    }
}
