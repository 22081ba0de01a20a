//! Making a filesystem, the same bytes every time as far as its mkfs allows.

use std::fs::File;
use std::path::Path;

use super::LIMIT;
use crate::host::process::{ToolError, last_words, run_tool};

const UUID: &str = "c01dc07c-c01d-4c01-8c01-c01dc07c01dc";
/// 2026-01-01, as every image's time.
const TIME: &str = "1767225600";
const MKE2FS_CONF: &str = include_str!("mke2fs.conf");

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
        "coldcut does not know how to make a `{0}` filesystem; use ext4, ext3, ext2, xfs, btrfs or f2fs, or `image:`"
    )]
    Unknown(String),
}

/// The program, its package and its arguments before the image's path.
struct Recipe {
    program: &'static str,
    package: &'static str,
    args: Vec<String>,
}

fn recipe(kind: &str, options: &[String]) -> Result<Recipe, MakeError> {
    let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    Ok(match kind {
        "ext2" | "ext3" | "ext4" => {
            let (extended, rest) = split_extended(options);
            let mut args = words(&["-F", "-q", "-t", kind, "-U", UUID]);
            // mke2fs heeds only the last -E, so the user's go into ours.
            let ours = format!("hash_seed={UUID},lazy_itable_init=0,lazy_journal_init=0,nodiscard");
            let all: Vec<String> = [ours].into_iter().chain(extended).collect();
            args.extend(["-E".to_owned(), all.join(",")]);
            args.extend(rest);
            Recipe {
                program: "mke2fs",
                package: "e2fsprogs",
                args,
            }
        }
        "xfs" => Recipe {
            program: "mkfs.xfs",
            package: "xfsprogs",
            args: [
                words(&["-f", "-q", "-K", "-m", &format!("uuid={UUID}")]),
                options.to_vec(),
            ]
            .concat(),
        },
        "btrfs" => Recipe {
            program: "mkfs.btrfs",
            package: "btrfs-progs",
            args: [words(&["-f", "-q", "-K", "-U", UUID]), options.to_vec()].concat(),
        },
        "f2fs" => Recipe {
            program: "mkfs.f2fs",
            package: "f2fs-tools",
            args: [words(&["-f", "-q", "-t", "0"]), options.to_vec()].concat(),
        },
        other => return Err(MakeError::Unknown(other.to_owned())),
    })
}

/// Takes the arguments of `-E` out of a list of options.
fn split_extended(options: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut extended, mut rest) = (Vec::new(), Vec::new());
    let mut words = options.iter();
    while let Some(word) = words.next() {
        if word == "-E" {
            extended.extend(words.next().cloned());
        } else {
            rest.push(word.clone());
        }
    }
    (extended, rest)
}

/// Makes a filesystem of type `kind` in a new sparse file of `size` bytes. `options` are mkfs's own.
///
/// # Errors
/// [`MakeError`], with mkfs's own words when it refuses.
pub async fn make(path: &Path, kind: &str, size: u64, options: &[String]) -> Result<(), MakeError> {
    let recipe = recipe(kind, options)?;
    let at = |source| MakeError::File {
        path: path.display().to_string(),
        size,
        source,
    };
    let file = File::create(path).map_err(at)?;
    file.set_len(size).map_err(at)?;
    drop(file);
    let conf = path.with_extension("mke2fs.conf");
    std::fs::write(&conf, MKE2FS_CONF).map_err(at)?;
    let configure = |command: &mut std::process::Command| {
        command
            .args(&recipe.args)
            .arg(path)
            .env("MKE2FS_CONFIG", &conf)
            .env("E2FSPROGS_FAKE_TIME", TIME)
            .env("SOURCE_DATE_EPOCH", TIME)
            .env("LC_ALL", "C");
        // Debian keeps mkfs in sbin, which a user's path may lack.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    };
    let output = run_tool(recipe.program, recipe.package, configure, LIMIT).await;
    let _ = std::fs::remove_file(&conf);
    let output = output?;
    if output.status.success() {
        return Ok(());
    }
    let command = format!("{} {} IMAGE", recipe.program, recipe.args.join(" "));
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

    #[test]
    fn extended_options_are_merged() {
        let options: Vec<String> = ["-b", "1024", "-E", "stride=4", "-m", "0"]
            .map(str::to_owned)
            .to_vec();
        let args = recipe("ext4", &options).unwrap().args;
        assert_eq!(args.iter().filter(|a| *a == "-E").count(), 1);
        assert!(args.iter().any(|a| a.ends_with(",stride=4")));
        assert!(args.ends_with(&["-b", "1024", "-m", "0"].map(str::to_owned)));
    }
}
