//! CrashMonkey's J-lang: what one workload does, a system call a line.
//!
//! A file has four sections. `# define` lists paths, of which a workload's names are made by leaving the slashes out
//! (`Afoo` is `A/foo`; `test` is the mounted root); `# declare` lists variables of the program that CrashMonkey makes of it,
//! and means nothing here; `# setup` and `# run` hold steps. What each step does is what CrashMonkey's adapter makes of it
//! (`ace/cmAdapter.py` in its repository): `open` keeps a descriptor that `write`, `falloc`, `mmapwrite`, `fsetxattr`,
//! `fsync`, `fdatasync` and `close` use; `dwrite` closes it and writes through one of its own, opened with `O_DIRECT` and
//! `O_SYNC`; `mmapwrite` allocates the range, stores all of it and syncs its first 8 KiB; `checkpoint N` is a point of the
//! history, here a mark. The language and its use are described in Mohan and others, "Finding crash-consistency bugs with
//! bounded black-box crash testing", OSDI 2018.

mod error;
mod lines;
mod names;
mod open;
mod translate;

pub use error::JlangError;

use crate::filesystem::FsType;
use crate::scenario::show_size;
use crate::scenario::to_yaml::Document;

use lines::{Section, lines};
use translate::Translation;

/// Bytes of the disk, where the filesystem can be so small.
const DISK: u64 = 32 << 20;
/// Steps of a workload at most.
const MAX_STEPS: usize = 10_000;

/// A workload as a scenario of this name.
///
/// # Errors
/// [`JlangError`] for the first line that cannot be mapped.
pub fn import(name: &str, text: &str, fstype: FsType) -> Result<Document, JlangError> {
    let mut translation = Translation::default();
    let mut seen = false;
    for line in lines(text) {
        let line = line?;
        match line.section {
            Section::Define => translation.names.define(&line)?,
            Section::Declare => {}
            Section::Setup => translation.step(&line, true)?,
            Section::Run => {
                seen = true;
                translation.step(&line, false)?;
            }
        }
        if translation.len() > MAX_STEPS {
            return Err(JlangError::new(
                line.number,
                format!("at most {MAX_STEPS} steps"),
                "more",
            ));
        }
    }
    if !seen {
        let last = text.lines().count().max(1);
        return Err(JlangError::new(
            last,
            "steps under `# run`",
            "the end of the file",
        ));
    }
    let (setup, workload) = translation.finish();
    Ok(Document {
        comments: Vec::new(),
        name: scenario_name(name),
        summary: format!("The J-lang workload {name}."),
        reference: "Mohan and others, OSDI 2018 (CrashMonkey and ACE)".to_owned(),
        filesystem: fstype.small(&show_size(DISK.max(fstype.min_size))),
        setup,
        workload,
        crash: "all".to_owned(),
        end: "cut".to_owned(),
        expect: vec!["auto".to_owned()],
        outcome: "holds".to_owned(),
    })
}

/// A name that a scenario can have: other characters become `-`.
fn scenario_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = name
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .take(60)
        .collect();
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        name
    } else {
        format!("w{name}")
    }
}

#[cfg(test)]
mod tests;
