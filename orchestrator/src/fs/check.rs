//! Asking a filesystem's checker, which must not change anything; and, apart from that, letting it repair.

use std::path::Path;

use coldcut_core::outcome::recovery::Fsck;

use super::LIMIT;
use crate::host::process::{ToolError, run_tool};

/// Bytes kept of what a checker prints.
const OUTPUT: usize = 64 << 10;

/// Why a checker gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is missing or hangs.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// It could not do its work: that says nothing of the filesystem.
    #[error("`{command}` could not check (exit code {code}): {output}")]
    Operational {
        /// The command.
        command: String,
        /// Its exit code.
        code: i32,
        /// What it printed.
        output: String,
    },
}

/// Runs the checker of `kind` on a raw image; `None` when coldcut knows none for that type.
///
/// # Errors
/// [`CheckError`].
pub async fn check(path: &Path, kind: &str) -> Result<Option<Fsck>, CheckError> {
    // Program, package, arguments, and what each exit code means: damage found, none found, or nothing known.
    type Recipe = (
        &'static str,
        &'static str,
        &'static [&'static str],
        fn(i32) -> Option<bool>,
    );
    let (program, package, args, found): Recipe = match kind {
        // 4: errors left uncorrected (always so with -n); 8 and above: it could not work (e2fsck(8)).
        "ext2" | "ext3" | "ext4" => ("e2fsck", "e2fsprogs", &["-f", "-n"], |code| match code {
            0 => Some(false),
            4 | 12 => Some(true),
            _ => None,
        }),
        // 1: corruption found with -n (xfs_repair(8)).
        "xfs" => ("xfs_repair", "xfsprogs", &["-n", "-f"], |code| match code {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }),
        "btrfs" => (
            "btrfs",
            "btrfs-progs",
            &["check", "--readonly"],
            |code| match code {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
        ),
        "f2fs" => ("fsck.f2fs", "f2fs-tools", &["--dry-run"], |code| match code {
            0 => Some(false),
            255 => Some(true),
            _ => None,
        }),
        _ => return Ok(None),
    };
    run(path, program, package, args, found).await.map(Some)
}

/// Lets the checker repair a raw image, with every question answered by yes: `clean` says that it changed nothing. Bit
/// 4 of the exit code: errors are left.
///
/// # Errors
/// [`CheckError`]; also where `kind` is not ext2, ext3 or ext4.
pub async fn repair(path: &Path, kind: &str) -> Result<Fsck, CheckError> {
    let args = &["-f", "-y"];
    if !matches!(kind, "ext2" | "ext3" | "ext4") {
        return Err(CheckError::Operational {
            command: "e2fsck -f -y".to_owned(),
            code: -1,
            output: format!("coldcut knows no such repair of {kind}"),
        });
    }
    // 1, 2: errors corrected; 4: errors left; 8 and above: it could not work (e2fsck(8)).
    run(path, "e2fsck", "e2fsprogs", args, |code| match code {
        0 => Some(false),
        1..=7 => Some(true),
        _ => None,
    })
    .await
}

/// Runs a checker. `found` says what an exit code means: damage, none, or nothing known.
async fn run(
    path: &Path,
    program: &'static str,
    package: &'static str,
    args: &[&str],
    found: fn(i32) -> Option<bool>,
) -> Result<Fsck, CheckError> {
    let configure = |command: &mut std::process::Command| {
        command.args(args).arg(path).env("LC_ALL", "C");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    };
    let output = run_tool(program, package, configure, LIMIT).await?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    // The image's path differs from state to state; what is wrong with it does not.
    let mut text = text.replace(&path.display().to_string(), "IMAGE");
    if text.len() > OUTPUT {
        let mut end = OUTPUT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    let command = format!("{program} {}", args.join(" "));
    let code = output.status.code().unwrap_or(-1);
    match found(code) {
        Some(found) => Ok(Fsck {
            command,
            code,
            clean: !found,
            output: text,
        }),
        None => Err(CheckError::Operational {
            command,
            code,
            output: text.trim().to_owned(),
        }),
    }
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

    #[tokio::test]
    async fn a_damaged_image_is_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.img");
        super::super::make(&path, "ext4", 16 << 20, &[]).await.unwrap();
        let sound = repair(&path, "ext4").await.unwrap();
        assert!(sound.clean && sound.code == 0, "{sound:?}");
        let mut damaged = std::fs::read(&path).unwrap();
        let root = damaged.windows(4).position(|w| w == b"lost").unwrap();
        damaged[root..root + 4].copy_from_slice(b"l\0st");
        std::fs::write(&path, &damaged).unwrap();
        let fsck = repair(&path, "ext4").await.unwrap();
        assert!(!fsck.clean && fsck.code == 1, "{fsck:?}");
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
        assert!(check(&path, "minix").await.unwrap().is_none());
    }
}
