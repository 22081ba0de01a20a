//! Makes filesystems, with the same bytes every time as far as mkfs allows.

use std::fs::File;
use std::path::Path;

use coldcut_core::filesystem::FsType;

use super::LIMIT;
use crate::host::tool::{ToolError, last_words, run_tool};

/// 2026-01-01, as every image's time, where a program heeds the convention.
const TIME: &str = "1767225600";

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
    let fstype = FsType::named(kind).ok_or_else(|| MakeError::Unknown(kind.to_owned()))?;
    let mkfs = &fstype.mkfs;
    let arguments = mkfs.arguments(options);
    let at = |source| MakeError::File {
        path: path.display().to_string(),
        size,
        source,
    };
    let file = File::create(path).map_err(at)?;
    file.set_len(size).map_err(at)?;
    drop(file);
    let config_path = path.with_extension("conf");
    if let Some(config) = &mkfs.config {
        std::fs::write(&config_path, config.text).map_err(at)?;
    }
    let configure = |command: &mut std::process::Command| {
        command
            .args(&arguments)
            .arg(path)
            .envs(mkfs.environment.iter().copied())
            .env("SOURCE_DATE_EPOCH", TIME)
            .env("LC_ALL", "C");
        if let Some(config) = &mkfs.config {
            command.env(config.variable, &config_path);
        }
        // Debian keeps mkfs in sbin, which a user's path may lack.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    };
    let output = run_tool(mkfs.program, mkfs.package, configure, LIMIT).await;
    if mkfs.config.is_some() {
        let _ = std::fs::remove_file(&config_path);
    }
    let output = output?;
    if output.status.success() {
        return Ok(());
    }
    let command = format!("{} {} IMAGE", mkfs.program, arguments.join(" "));
    Err(ToolError::Failed {
        command,
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
}
