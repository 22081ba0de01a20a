//! A history as a script in the style of an fstests case: plain commands, and dm-flakey for the power cut.

use std::fmt::Write as _;

use coldcut_wire::{FallocateMode, MsyncMode, Op, RenameMode, op as args};

use super::history::Entry;
use crate::scenario::Action;

/// A case for fstests (`tests/generic/NNN`): the setup, made durable by unmounting; the steps; a power cut that loses what no
/// flush made durable, by dm-flakey; and a look at what is there. `found` says what coldcut found, a line each.
///
/// dm-flakey drops all that is written after the last step. Where a state lost some of its writes and kept others, the script
/// says so: then it needs dm-log-writes, or luck.
pub fn fstests_case(entries: &[Entry], found: &[String]) -> String {
    let mut text = String::from("#! /bin/bash\n# SPDX-License-Identifier: GPL-2.0\n#\n# FS QA Test\n#\n");
    for line in found {
        let _ = writeln!(text, "# {line}");
    }
    text.push_str(
        "#\n. ./common/preamble\n_begin_fstest auto quick log\n\n_cleanup()\n{\n\t_cleanup_flakey\n\tcd /\n\trm -r -f $tmp.*\n}\n\n\
         . ./common/filter\n. ./common/dmflakey\n. ./common/attr\n\n_require_scratch\n_require_dm_target flakey\n\n\
         _scratch_mkfs >> $seqres.full 2>&1\n_require_metadata_journaling $SCRATCH_DEV\n_init_flakey\n_mount_flakey\ncd $SCRATCH_MNT\n\n",
    );
    for entry in entries.iter().filter(|entry| !entry.recorded) {
        let _ = writeln!(text, "{}", command(&entry.step.action));
    }
    text.push_str(
        "\n# What was set up is durable.\ncd /\n_unmount_flakey\n_mount_flakey\ncd $SCRATCH_MNT\n\n",
    );
    for entry in entries.iter().filter(|entry| entry.recorded) {
        let _ = writeln!(text, "{}", command(&entry.step.action));
    }
    text.push_str(
        "\n# The power fails.\ncd /\n_flakey_drop_and_remount\n\n\
         find $SCRATCH_MNT -printf '%P %y %s %n\\n' | sort\n_unmount_flakey\n_check_scratch_fs $FLAKEY_DEV\n\nstatus=0\nexit\n",
    );
    text
}

/// A step as a command; one without a command of its own is a comment.
fn command(action: &Action) -> String {
    match action {
        Action::Op(op) => of_op(op),
        Action::Mark => "# a mark".to_owned(),
        Action::Exec { .. }
        | Action::Start(_)
        | Action::Join { .. }
        | Action::Device(_)
        | Action::Leave { .. } => "# a step that no plain command does".to_owned(),
    }
}

fn of_op(op: &Op) -> String {
    match op {
        Op::Mkdir(step) => format!("mkdir -m {:o} {}", step.mode, word(&step.path)),
        Op::Create(step) => io(&step.path, "-f ", "open"),
        Op::Write(step) => write(step),
        Op::Truncate(step) => io(&step.path, "", &format!("truncate {}", step.size)),
        Op::Fallocate(step) => fallocate(step),
        Op::MmapStore(step) => store(step),
        Op::Rename(step) => rename(step),
        Op::Link(step) => two("ln", &step.from, &step.to),
        Op::Symlink(step) => two("ln -s", &step.target, &step.path),
        Op::Unlink(step) => format!("rm {}", word(&step.path)),
        Op::Rmdir(step) => format!("rmdir {}", word(&step.path)),
        Op::Setxattr(step) => setxattr(step),
        Op::Removexattr(step) => two("$SETFATTR_PROG -h -x", &step.name, &step.path),
        Op::Chmod(step) => format!("chmod {:o} {}", step.mode, word(&step.path)),
        Op::Chown(step) => format!("chown -h {}:{} {}", step.uid, step.gid, word(&step.path)),
        Op::Utimes(step) => format!(
            "touch -h -d @{} {}",
            step.mtime_ns / 1_000_000_000,
            word(&step.path)
        ),
        Op::Fsync(step) => io(&step.path, if step.directory { "-r " } else { "" }, "fsync"),
        Op::Fdatasync(step) => io(&step.path, "", "fdatasync"),
        Op::Sync => "sync".to_owned(),
        Op::Syncfs => "$XFS_IO_PROG -r -c syncfs .".to_owned(),
        Op::SyncFileRange(step) => io(
            &step.path,
            "",
            &format!("sync_range -w {} {}", step.offset, step.len),
        ),
        Op::Sleep(step) => format!("sleep {}", step.millis.div_ceil(1000)),
        Op::DropCaches(step) => format!("echo {} > /proc/sys/vm/drop_caches", step.what),
        Op::Sysctl(step) => format!("sysctl -q -w {}", word(&format!("{}={}", step.name, step.value))),
        Op::Open(step) => format!("# from here on {:?} is open, as {}", step.path, step.handle),
        Op::Close(step) => format!("# {} is closed", step.handle),
        Op::Burst(_)
        | Op::Read(_)
        | Op::Trace(_)
        | Op::Collect(_)
        | Op::Observe(_)
        | Op::Bdi
        | Op::Pipe(_)
        | Op::Socket(_)
        | Op::Transfer(_)
        | Op::Vmsplice(_)
        | Op::Pump(_)
        | Op::Consume(_)
        | Op::Pending(_)
        | Op::WatchJournal
        | Op::Commit(_) => "# a step that no plain command does".to_owned(),
    }
}

fn io(path: &str, flags: &str, command: &str) -> String {
    format!("$XFS_IO_PROG {flags}-c '{command}' {}", word(path))
}

fn two(command: &str, one: &str, other: &str) -> String {
    format!("{command} {} {}", word(one), word(other))
}

fn write(step: &args::Write) -> String {
    let all = [
        (step.flags.create, "-f "),
        (step.flags.truncate, "-t "),
        (step.flags.append, "-a "),
        (step.flags.direct, "-d "),
        (step.flags.sync || step.flags.dsync, "-s "),
    ];
    let flags: String = all
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, flag)| *flag)
        .collect();
    let byte = pattern(&step.pattern.generation);
    io(
        &step.path,
        &flags,
        &format!("pwrite -S {byte} {} {}", step.offset, step.len),
    )
}

fn store(step: &args::MmapStore) -> String {
    let (at, len) = (step.offset, step.len);
    let sync = match step.msync {
        MsyncMode::None => String::new(),
        MsyncMode::Async => format!("' -c 'msync -a {at} {len}"),
        MsyncMode::Sync => format!("' -c 'msync -s {at} {len}"),
    };
    let byte = pattern(&step.pattern.generation);
    let end = at + len;
    io(
        &step.path,
        "",
        &format!("mmap -w 0 {end}' -c 'mwrite -S {byte} {at} {len}{sync}"),
    )
}

fn rename(step: &args::Rename) -> String {
    let command = match step.mode {
        RenameMode::Replace => "mv -T",
        RenameMode::NoReplace => "$here/src/renameat2 -n",
        RenameMode::Exchange => "$here/src/renameat2 -x",
    };
    two(command, &step.from, &step.to)
}

fn setxattr(step: &args::Setxattr) -> String {
    let value = String::from_utf8_lossy(&step.value);
    two(
        &format!("$SETFATTR_PROG -h -n {} -v", word(&step.name)),
        &value,
        &step.path,
    )
}

fn fallocate(step: &args::Fallocate) -> String {
    io(
        &step.path,
        "",
        &format!("{} {} {}", command_of(step.mode), step.offset, step.len),
    )
}

fn command_of(mode: FallocateMode) -> &'static str {
    match mode {
        FallocateMode::Allocate => "falloc",
        FallocateMode::KeepSize => "falloc -k",
        FallocateMode::PunchHole => "fpunch",
        FallocateMode::ZeroRange => "fzero",
        FallocateMode::ZeroRangeKeepSize => "fzero -k",
        FallocateMode::CollapseRange => "fcollapse",
        FallocateMode::InsertRange => "finsert",
        FallocateMode::UnshareRange => "funshare",
    }
}

/// A byte for a generation of a content: another for each small number.
fn pattern(generation: &str) -> String {
    let number = generation
        .bytes()
        .fold(0u32, |sum, byte| sum.wrapping_mul(10).wrapping_add(byte.into()));
    format!("0x{:02x}", 0x30 + number % 0x4f)
}

/// A text as one word of a shell.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./=:@+,-".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    let dashed = if text.starts_with('-') { "./" } else { "" };
    format!("'{dashed}{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minimize::History;
    use crate::scenario::Scenario;

    #[test]
    fn steps_are_plain_commands() {
        let text = "format: 1
name: s
filesystem: {type: ext4, size: 64MiB}
setup:
  - mkdir: A
  - write: {path: A/foo, len: 16KiB, content: foo@0}
workload:
  - rename: {from: A/foo, to: bar}
  - fallocate: {path: bar, len: 4KiB, mode: zero_range_keep_size}
  - mmap_store: {path: bar, len: 4KiB, content: foo@1, msync: sync}
  - setxattr: {path: bar, name: user.x, value: \"it's\"}
  - write: {path: 'a b', len: 10, flags: [direct], content: b@1}
    errno: EINVAL
  - fsync_dir: /
  - fdatasync: bar
expect: [auto]
outcome: observed
";
        let scenario = Scenario::parse("s", text).unwrap_or_else(|e| panic!("{e}"));
        let history = History::new(&scenario.variants()[0]).unwrap();
        insta::assert_snapshot!(fstests_case(&history.entries, &["A file was lost.".to_owned()]));
    }
}
