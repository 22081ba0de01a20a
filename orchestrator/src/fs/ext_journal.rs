//! An external journal of ext3 and ext4 in a file. mke2fs makes one only on a block device (`-J device=`); what it does there
//! is done here by its parts: the journal is made on its own (`-O journal_dev`), the filesystem's superblock is told of it by
//! debugfs, and the journal's own of its user.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use coldcut_core::filesystem::Mkfs;

use super::LIMIT;
use super::make::{MakeError, run_mkfs};
use crate::host::tool::{ToolError, last_words, run_tool};

/// The journal's UUID, by which the filesystem names it.
const UUID: &str = "c01dc01d-0000-4000-8000-00000000ab1e";

/// Where ext's superblock is, and in it the exponent of the block size and the UUID (`struct ext4_super_block`).
const SUPERBLOCK: u64 = 1024;
const LOG_BLOCK_SIZE: u64 = SUPERBLOCK + 0x18;
const FS_UUID: u64 = SUPERBLOCK + 0x68;
/// In the journal's superblock, big-endian: how many users it has, and their UUIDs (`struct journal_superblock_s`).
const USERS: u64 = 0x40;
const FIRST_USER: u64 = 0x100;

/// A scenario's options for a filesystem that gets its journal later.
pub(super) fn without_journal(options: &[String]) -> Vec<String> {
    let mut options = options.to_vec();
    let features = options.iter().position(|option| option == "-O");
    match features.and_then(|place| options.get_mut(place + 1)) {
        Some(features) => features.push_str(",^has_journal"),
        None => options.extend(["-O".to_owned(), "^has_journal".to_owned()]),
    }
    options
}

/// Makes a journal in `journal`, a file of zeros, and makes it that of the filesystem in `image`.
pub(super) async fn add(mkfs: &Mkfs, image: &Path, journal: &Path) -> Result<(), MakeError> {
    let at = |source| MakeError::Journal {
        path: journal.display().to_string(),
        source,
    };
    let file = File::open(image).map_err(at)?;
    let mut exponent = [0; 4];
    file.read_exact_at(&mut exponent, LOG_BLOCK_SIZE).map_err(at)?;
    let block = 1024_u64 << u32::from_le_bytes(exponent).min(6);
    let arguments = [
        "-F",
        "-q",
        "-b",
        &block.to_string(),
        "-O",
        "journal_dev",
        "-U",
        UUID,
    ];
    run_mkfs(mkfs, &arguments.map(str::to_owned), &[journal]).await?;
    introduce(image).await?;
    let mut uuid = [0; 16];
    file.read_exact_at(&mut uuid, FS_UUID).map_err(at)?;
    add_user(journal, block, uuid).map_err(at)
}

/// Tells the filesystem's superblock, whose checksum debugfs keeps right. The device number is what the guest's second disk
/// mostly has; the mount option says it anyway.
async fn introduce(image: &Path) -> Result<(), MakeError> {
    let uuid = format!("ssv journal_uuid {UUID}");
    for request in [
        "feature has_journal",
        &uuid,
        "ssv journal_inum 0",
        "ssv journal_dev 0xfe10",
    ] {
        let configure = |command: &mut Command| {
            command.args(["-w", "-R", request]).arg(image).env("LC_ALL", "C");
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
            command.env("E2FSPROGS_FAKE_TIME", super::make::TIME);
        };
        let output = run_tool("debugfs", "e2fsprogs", configure, LIMIT).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // It exits with 0 whatever a request came to; beside its version it says nothing on standard error.
        let refused = said.lines().any(|line| !line.starts_with("debugfs "));
        if !output.status.success() || refused {
            return Err(ToolError::Failed {
                command: format!("debugfs -w -R '{request}' IMAGE"),
                status: output.status,
                message: last_words(&output),
            }
            .into());
        }
    }
    Ok(())
}

/// Tells the journal, which has no checksum before its first mount.
fn add_user(journal: &Path, block: u64, uuid: [u8; 16]) -> io::Result<()> {
    // After ext's own superblock (`ext2fs_journal_sb_start`).
    let superblock = if block == 1024 { 2 * block } else { block };
    let file = File::options().write(true).open(journal)?;
    file.write_all_at(&1_u32.to_be_bytes(), superblock + USERS)?;
    file.write_all_at(&uuid, superblock + FIRST_USER)
}
