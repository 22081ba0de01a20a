//! One recovery in full: what the recovering kernel did and found.

use std::fmt::Write as _;

use coldcut_core::outcome::recovery::Recovery;
use coldcut_core::recording::mark::Mark;
use coldcut_wire::{EntryKind, Source, TreeEntry};

use super::phrases::indent;

/// What a mark says.
pub fn mark_text(mark: &Mark) -> String {
    match mark {
        Mark::Begin(step) => format!("`{}` was begun", step.name),
        Mark::Done(step) => format!("`{}` was acknowledged", step.name),
        Mark::Failed(step, errno) => format!("`{}` failed with errno {errno}", step.name),
        Mark::Line { text, .. } => format!("a program acknowledged `{text}`"),
        Mark::End => "the recording ended".into(),
        Mark::Other(text) => text.clone(),
    }
}

/// Everything that is known of a recovery, for `coldcut replay`.
pub fn render_recovery(recovery: &Recovery) -> String {
    let mut text = String::new();
    if let Some(fsck) = &recovery.repaired {
        let what = if fsck.clean { "nothing to do" } else { "REPAIRED" };
        let _ = writeln!(text, "repair    {what} ({}, code {})", fsck.command, fsck.code);
        if !fsck.clean {
            indent(&mut text, "  ", fsck.output.trim());
        }
    }
    if let Some(oops) = &recovery.panic {
        let _ = writeln!(text, "kernel    PANICS: {oops}");
        return text;
    }
    let _ = match &recovery.mount_error {
        Some(error) => writeln!(text, "mount     failed: {}", error.what),
        None => writeln!(text, "mount     succeeded"),
    };
    if !recovery.dmesg.is_empty() {
        text.push_str("dmesg\n");
        for line in &recovery.dmesg {
            let _ = writeln!(text, "  [{:12.6}] {}", line.micros as f64 / 1e6, line.text);
        }
    }
    text.push_str("tree\n");
    recovery.tree.iter().for_each(|entry| add_entry(&mut text, entry));
    for answer in recovery.verified.iter().flat_map(|verified| &verified.answers) {
        let _ = match &answer.ended {
            Ok(code) => writeln!(
                text,
                "program   of expectation {} exits {code}",
                answer.expectation + 1
            ),
            Err(why) => writeln!(
                text,
                "program   of expectation {} gave no answer: {why}",
                answer.expectation + 1
            ),
        };
        for line in answer.lines.iter().chain(&answer.last) {
            let _ = writeln!(text, "  {line}");
        }
    }
    if let Some(error) = &recovery.unmount_error {
        let _ = writeln!(text, "unmount   failed: {}", error.what);
    }
    if let Some(fsck) = &recovery.fsck {
        let what = if fsck.clean { "clean" } else { "NOT CLEAN" };
        let _ = writeln!(text, "fsck      {what} ({}, code {})", fsck.command, fsck.code);
        if !fsck.clean {
            indent(&mut text, "  ", fsck.output.trim());
        }
    }
    text
}

fn add_entry(text: &mut String, entry: &TreeEntry) {
    let name = String::from_utf8_lossy(&entry.path);
    let name = if name.is_empty() { "/" } else { &*name };
    let _ = writeln!(
        text,
        "  {:?} {name}  mode {:o}, size {}, links {}",
        entry.kind, entry.mode, entry.size, entry.nlink
    );
    if entry.kind == EntryKind::File {
        for extent in &entry.extents {
            let _ = writeln!(
                text,
                "      {:>8}+{:<8} {}",
                extent.offset,
                extent.len,
                source(&extent.source, extent.offset)
            );
        }
    }
    for problem in &entry.problems {
        let _ = writeln!(text, "      problem: {problem}");
    }
}

fn source(source: &Source, offset: u64) -> String {
    match source {
        Source::Zeros => "zeros".into(),
        Source::Content { at, label, .. } if *at == offset => label.clone(),
        Source::Content { at, label, .. } => format!("{label}, but its bytes from {at} on"),
        Source::Garbage => "bytes that nobody wrote".into(),
        Source::Unreadable { errno } => format!("unreadable, errno {errno}"),
    }
}
