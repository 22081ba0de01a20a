//! What is recorded for the measurement.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use coldcut_core::filesystem::FsType;
use coldcut_core::outcome::unknown::Unknown;
use coldcut_core::scenario::{Scenario, Variant};

use crate::job::scenario_file::ScenarioFile;

/// Operations of the workload.
const OPERATIONS: usize = 200;

const HEAD: &str = "
format: 1
name: bench
summary: Files are written, synced, renamed and unlinked, and the directory is synced after each change of a name.
end: cut
";

fn head() -> String {
    format!("{HEAD}{}", FsType::first().small("64MiB"))
}

/// 200 operations, as a program that keeps its data safe does them.
pub(super) fn busy() -> Result<Arc<ScenarioFile>, Unknown> {
    let mut text = head();
    text.push_str("workload:\n");
    let mut operations = 0;
    let mut file = 0;
    let mut add = |text: &mut String, step: &str| {
        let _ = writeln!(text, "  - {step}");
        operations += 1;
        operations >= OPERATIONS
    };
    loop {
        let steps = [
            format!("write: {{path: f{file}.tmp, len: 8KiB, content: f{file}@1}}"),
            format!("fsync: f{file}.tmp"),
            format!("rename: {{from: f{file}.tmp, to: f{file}}}"),
            "fsync_dir: /".to_owned(),
        ];
        let old = [format!("unlink: f{}", file.max(4) - 4), "fsync_dir: /".to_owned()];
        let full = steps
            .iter()
            .chain(old.iter().filter(|_| file >= 4))
            .any(|step| add(&mut text, step));
        if full {
            break;
        }
        file += 1;
    }
    text.push_str("expect:\n  - exists: {path: lost+found}\n");
    parse(text)
}

/// A few writes: what a first verdict takes.
pub(super) fn small() -> Result<Arc<ScenarioFile>, Unknown> {
    parse(format!(
        "{}workload:
  - write: {{path: data, len: 4KiB, content: data@1}}
  - fsync: data
  - mark: saved
expect:
  - content: {{path: data, is: data@1}}
    after: saved
outcome: holds
",
        head()
    ))
}

fn parse(text: String) -> Result<Arc<ScenarioFile>, Unknown> {
    let scenario = Scenario::parse("bench", &text).map_err(|e| Unknown::new(e.to_string()))?;
    Ok(Arc::new(ScenarioFile {
        path: PathBuf::from("bench.yaml"),
        text,
        scenario,
    }))
}

/// Its only variant.
pub(super) fn variant(file: &ScenarioFile) -> Result<Variant, Unknown> {
    let first = file.scenario.variants().first().cloned();
    first.ok_or_else(|| Unknown::new("the workload has no variant"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workloads_are_valid() {
        let busy = variant(&busy().unwrap()).unwrap();
        assert_eq!(busy.workload.len(), OPERATIONS);
        assert!(!variant(&small().unwrap()).unwrap().workload.is_empty());
    }
}
