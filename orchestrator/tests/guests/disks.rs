//! Filesystems on several disks, on real kernels: what is promised holds where each disk heeds its flushes, and is lost where
//! one does not.

use std::path::{Path, PathBuf};

use coldcut_core::outcome::verdict::{Standing, Verdict};
use coldcut_core::recording::block::ReadAt as _;
use coldcut_core::recording::io::IoKind;
use coldcut_core::recording::log::{LoadOptions, WriteLog};

use crate::common;

/// Runs a scenario of `scenarios/disks` on a kernel: everything is as it declares, each variant that violates does so by a
/// state that `replay` shows again, and the log of each has two disks. Gives the results' directory.
fn as_declared(dir: &Path, scenario: &str, kernel: &str, variants: usize) -> PathBuf {
    let file = format!("scenarios/disks/{scenario}.yaml");
    let (code, run) = common::run(dir, &[&file, "--kernel", kernel, "--jobs", "2"]);
    assert_eq!(code, 0, "{run:#?}");
    assert_eq!(run.cells.len(), variants);
    for cell in &run.cells {
        assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
        assert!(cell.obligations > 0, "{cell:#?}");
        let log = log_of(dir, &cell.cell.id);
        assert_eq!(log.disks().count(), 2);
        for disk in 0..2 {
            let writes = log.requests().filter(|request| {
                request.io.kind == IoKind::Write && log.disks().of(request.io.offset, 0) == Some(disk)
            });
            assert!(
                writes.count() > 0,
                "{}: nothing was written to disk {disk}",
                cell.cell.id
            );
        }
        assert_eq!(
            cell.violations.is_empty(),
            cell.verdict == Verdict::Pass,
            "{cell:#?}"
        );
        if let Some(violation) = cell.violations.first() {
            let state = format!("{}/{}/{}", run.run, cell.cell.id, violation.state);
            let output = common::coldcut(dir).args(["replay", &state]).output().unwrap();
            let text = common::text(&output);
            assert_eq!(output.status.code(), Some(1), "{text}");
        }
    }
    dir.join("latest/cells")
}

fn log_of(dir: &Path, cell: &str) -> WriteLog {
    let path = dir.join("latest/cells").join(cell).join("write.log");
    let log = std::fs::read(&path).unwrap();
    let sidecar = std::fs::read(path.with_extension("log.order")).unwrap();
    WriteLog::load(&log, Some(&sidecar), &LoadOptions::default())
        .unwrap()
        .log
}

#[test]
fn ext4_with_its_journal_on_another_disk() {
    let dir = tempfile::tempdir().unwrap();
    let cells = as_declared(dir.path(), "ext4-external-journal", "6.12", 3);
    let log = cells.join("ext4-external-journal.ordered.6.12/write.log");
    // The log of the journal's disk alone, and that disk at the end.
    let (alone, image) = (dir.path().join("journal.log"), dir.path().join("journal.img"));
    for (what, file) in [("--to-log", &alone), ("--raw", &image)] {
        let mut command = common::coldcut(dir.path());
        command
            .args(["log", "export"])
            .arg(&log)
            .args(["--disk", "1", what])
            .arg(file);
        if what == "--raw" {
            command
                .args(["--state", "b1-d", "--base"])
                .arg(log.with_file_name("base.img"));
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", common::text(&output));
    }
    let alone = WriteLog::load(&std::fs::read(&alone).unwrap(), None, &LoadOptions::default()).unwrap();
    assert_eq!(alone.log.disks().size(), 8 << 20);
    let image = std::fs::read(&image).unwrap();
    assert_eq!(image.size(), 8 << 20);
    // The magic of jbd2's superblock, in the second block.
    assert_eq!(image[4096..4100], 0xc03b_3998_u32.to_be_bytes());
}

#[test]
fn ext4_with_its_journal_on_another_disk_since_fsync_flushes_both() {
    as_declared(
        tempfile::tempdir().unwrap().path(),
        "ext4-external-journal",
        "7",
        3,
    );
}

#[test]
fn xfs_with_its_log_on_another_disk() {
    as_declared(tempfile::tempdir().unwrap().path(), "xfs-external-log", "6.12", 2);
}

#[test]
fn btrfs_on_two_disks() {
    as_declared(tempfile::tempdir().unwrap().path(), "btrfs-raid1", "6.12", 3);
}
