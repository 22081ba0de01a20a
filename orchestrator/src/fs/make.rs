//! Makes filesystems, with the same bytes every time as far as mkfs allows.

use std::fs::File;
use std::path::{Path, PathBuf};

use coldcut_core::filesystem::{FsType, Made, Mkfs};

use super::{LIMIT, ext_journal};
use crate::host::tool::{ToolError, last_words, run_tool};

/// 2026-01-01, as every image's time, where a program heeds the convention.
pub(super) const TIME: &str = "1767225600";

/// Why there is no filesystem.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// mkfs is missing, hangs or refuses.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The image's file.
    #[error("cannot make an image of {size} bytes at {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Its size.
        size: u64,
        /// Why.
        source: std::io::Error,
    },
    /// An external journal's file.
    #[error("cannot make a journal at {path}: {source}")]
    Journal {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It has no use for another disk.
    #[error("a `{0}` filesystem is on one disk")]
    OneDisk(String),
    /// An option that no scenario may give.
    #[error(transparent)]
    Option(#[from] coldcut_core::filesystem::RefusedOption),
    /// No mkfs is known.
    #[error(
        "coldcut does not know how to make a `{0}` filesystem; use {known}, or `image:`",
        known = coldcut_core::filesystem::listed(|_| true)
    )]
    Unknown(String),
}

/// Makes a filesystem of type `kind` in a new sparse file of `size` bytes. `options` are mkfs's own.
///
/// # Errors
/// [`MakeError`], with mkfs's own words when it refuses.
pub async fn make(path: &Path, kind: &str, size: u64, options: &[String]) -> Result<(), MakeError> {
    make_on(&[(path.to_owned(), size)], kind, options).await
}

/// Makes a filesystem on several disks, each a new sparse file of so many bytes; what those beside the first are for is the
/// filesystem's own.
///
/// # Errors
/// As [`make`].
pub async fn make_on(disks: &[(PathBuf, u64)], kind: &str, options: &[String]) -> Result<(), MakeError> {
    let fstype = FsType::named(kind).ok_or_else(|| MakeError::Unknown(kind.to_owned()))?;
    let mkfs = &fstype.mkfs;
    mkfs.check(options)?;
    for (path, size) in disks {
        let at = |source| MakeError::File {
            path: path.display().to_string(),
            size: *size,
            source,
        };
        let file = File::create(path).map_err(at)?;
        file.set_len(*size).map_err(at)?;
    }
    let paths: Vec<&Path> = disks.iter().map(|(path, _)| path.as_path()).collect();
    let [first, others @ ..] = paths.as_slice() else {
        return Ok(());
    };
    let Some(second) = others.first() else {
        return run_mkfs(mkfs, &mkfs.arguments(options), &[first]).await;
    };
    let several = fstype.several.as_ref();
    match several.ok_or_else(|| MakeError::OneDisk(kind.to_owned()))?.made {
        Made::Named => run_mkfs(mkfs, &mkfs.arguments(options), &paths).await,
        Made::Option(option, prefix) => {
            let mut arguments = mkfs.arguments(options);
            arguments.extend([option.to_owned(), format!("{prefix}{}", second.display())]);
            run_mkfs(mkfs, &arguments, &[first]).await
        }
        Made::ExtJournal => {
            let options = ext_journal::without_journal(options);
            run_mkfs(mkfs, &mkfs.arguments(&options), &[first]).await?;
            ext_journal::add(mkfs, first, second).await
        }
    }
}

/// Runs a filesystem's mkfs with these arguments on existing files.
pub(super) async fn run_mkfs(mkfs: &Mkfs, arguments: &[String], paths: &[&Path]) -> Result<(), MakeError> {
    let config_path = paths.first().map(|path| path.with_extension("conf"));
    let config = mkfs.config.as_ref().zip(config_path.as_ref());
    if let Some((config, path)) = config {
        std::fs::write(path, config.text).map_err(|source| MakeError::File {
            path: path.display().to_string(),
            size: config.text.len() as u64,
            source,
        })?;
    }
    let configure = |command: &mut std::process::Command| {
        command
            .args(arguments)
            .args(paths)
            .envs(mkfs.environment.iter().copied())
            .env("SOURCE_DATE_EPOCH", TIME)
            .env("LC_ALL", "C");
        if let Some((config, path)) = config {
            command.env(config.variable, path);
        }
        // Debian keeps mkfs in sbin, which a user's path may lack.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    };
    let output = run_tool(mkfs.program, mkfs.package, configure, LIMIT).await;
    if let Some((_, path)) = config {
        let _ = std::fs::remove_file(path);
    }
    let output = output?;
    if output.status.success() {
        return Ok(());
    }
    let images = vec!["IMAGE"; paths.len()];
    Err(ToolError::Failed {
        command: format!("{} {} {}", mkfs.program, arguments.join(" "), images.join(" ")),
        status: output.status,
        message: last_words(&output),
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 16 << 20;

    #[tokio::test]
    async fn the_same_bytes_every_time() {
        let dir = tempfile::tempdir().unwrap();
        let options = [
            "-J".to_owned(),
            "size=4".to_owned(),
            "-E".to_owned(),
            "root_owner=1:1".to_owned(),
        ];
        let mut digests = Vec::new();
        for name in ["a.img", "b.img"] {
            let path = dir.path().join(name);
            make(&path, "ext4", SIZE, &options).await.unwrap();
            digests.push(blake3::hash(&std::fs::read(&path).unwrap()));
            if digests.len() == 1 {
                tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
            }
        }
        assert_eq!(digests[0], digests[1]);
    }

    #[tokio::test]
    async fn a_refusal_carries_the_words_of_mkfs() {
        let dir = tempfile::tempdir().unwrap();
        let error = make(&dir.path().join("x"), "ext4", 4096, &[])
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("mke2fs") && error.contains("Not enough space"),
            "{error}"
        );
        assert!(make(&dir.path().join("x"), "ntfs", SIZE, &[]).await.is_err());
    }

    #[tokio::test]
    async fn no_option_reaches_another_file_of_the_host() {
        let dir = tempfile::tempdir().unwrap();
        let (image, other) = (dir.path().join("x"), dir.path().join("other"));
        std::fs::write(&other, vec![7; SIZE as usize]).unwrap();
        let name = other.display().to_string();
        for options in [vec![name.clone(), "-M".to_owned()], vec!["-z".to_owned(), name]] {
            let error = make(&image, "ext4", SIZE, &options).await.unwrap_err();
            assert!(matches!(error, MakeError::Option(_)), "{error}");
        }
        assert!(std::fs::read(&other).unwrap().iter().all(|&byte| byte == 7));
        assert!(!image.exists(), "nothing is begun");
    }

    #[tokio::test]
    async fn filesystems_on_several_disks_are_sound_on_them() {
        let dir = tempfile::tempdir().unwrap();
        let mib = |mib: u64| mib << 20;
        for (kind, sizes, options) in [
            ("ext4", vec![mib(16), mib(5)], vec![]),
            (
                "ext4",
                vec![mib(16), mib(8)],
                vec!["-b", "1024", "-O", "^resize_inode"],
            ),
            ("ext3", vec![mib(16), mib(8)], vec![]),
            ("xfs", vec![mib(300), mib(64)], vec![]),
            ("btrfs", vec![mib(125); 3], vec!["-d", "raid1", "-m", "raid1"]),
        ] {
            let disk = |(number, size)| (dir.path().join(format!("{kind}-{number}")), size);
            let disks: Vec<(PathBuf, u64)> = sizes.into_iter().enumerate().map(disk).collect();
            let options: Vec<String> = options.into_iter().map(str::to_owned).collect();
            make_on(&disks, kind, &options).await.unwrap();
            let paths: Vec<&Path> = disks.iter().map(|(path, _)| path.as_path()).collect();
            let fsck = super::super::check_on(&paths, kind).await.unwrap();
            assert_eq!(
                fsck.map(|fsck| fsck.clean),
                (kind != "btrfs").then_some(true),
                "{kind}"
            );
            // The second disk is the filesystem's, and no mere file beside it.
            std::fs::write(paths[1], vec![0; mib(5) as usize]).unwrap();
            if kind == "ext4" {
                let alone = super::super::check_on(&paths, kind).await;
                assert!(!matches!(&alone, Ok(Some(fsck)) if fsck.clean), "{alone:?}");
            }
        }
        let two = [(dir.path().join("a"), mib(64)), (dir.path().join("b"), mib(64))];
        assert!(matches!(
            make_on(&two, "f2fs", &[]).await,
            Err(MakeError::OneDisk(_))
        ));
    }
}
