//! Cells that were written down as data and read back are the cells that a run makes.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use coldcut::job::cell::run_cells;
use coldcut::job::data::{CellsJob, Resolver};
use coldcut::job::plan::RunSelection;
use coldcut::job::scenario_file::ScenarioFile;
use coldcut::kernel::Store;
use coldcut::recover::recoverer::Machines;
use coldcut::report::EventSink;
use coldcut::vm::machine::AccelChoice;
use coldcut::vm::open::MachineSettings;
use coldcut::vm::pool::Pool;
use coldcut_core::oracle::cell::Strategy;
use coldcut_core::outcome::result::CellResult;

use crate::common::{self, turn};

const SCENARIO: &str = r"
format: 1
name: elsewhere
filesystem: {type: ext4, size: 16MiB}
crash: {at: [saved]}
recover_on: [same, '6.1']
expect:
  - exists: {path: new}
    after: saved
variants:
  kept:
    workload: [{create: {path: new}}, {fsync_dir: /}, {mark: saved}]
    outcome: holds
  lost:
    workload: [{create: {path: new}}, {mark: saved}]
    outcome: {violates: missing}
";

/// Runs what was written down, as somebody else would who has only the text, a store and a directory.
async fn run_written(text: &str) -> Vec<CellResult> {
    turn::take();
    let jobs: Vec<CellsJob> = serde_json::from_str(text).unwrap();
    let store = Store::open_default().unwrap();
    let mut resolver = Resolver::new(&store);
    let results = Arc::new(Mutex::new(Vec::new()));
    for job in &jobs {
        let work = resolver.resolve(job).unwrap();
        let settings = MachineSettings {
            accel: AccelChoice::Auto,
            jobs: 1,
            quota: coldcut::host::quota::QuotaSettings::default(),
        };
        let pool = Pool::open(settings, EventSink::new(Vec::new()), &work.kernel)
            .await
            .unwrap();
        let pool = pool.with_cached_templates().unwrap();
        let kept = Arc::clone(&results);
        let done = move |result| kept.lock().unwrap().push(result);
        run_cells(Arc::new(pool), Arc::new(Machines), work, done).await;
    }
    Arc::into_inner(results).unwrap().into_inner().unwrap()
}

/// Without what depends on the run: times, and who happened to recover what.
fn essence(mut result: CellResult) -> CellResult {
    result.millis.clear();
    result.notes.clear();
    let states = &mut result.states;
    (states.cold, states.fresh, states.screened) = (0, 0, states.cold + states.fresh + states.screened);
    result
}

#[test]
fn a_job_that_was_written_down_gives_the_cells_of_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("elsewhere.yaml");
    fs::write(&path, SCENARIO).unwrap();
    let (code, run) = common::run(
        &dir.path().join("results"),
        &[path.to_str().unwrap(), "-k", "6.12"],
    );
    assert_eq!((code, run.cells.len()), (0, 4));

    let store = Store::open_default().unwrap();
    let selection = RunSelection {
        files: vec![Arc::new(ScenarioFile::read(&path).unwrap())],
        kernels: vec![("6.12".to_owned(), Arc::new(store.find("6.12").unwrap()))],
        variants: Vec::new(),
        recover_on: Vec::new(),
        repeat: 1,
        shard: None,
    };
    let plan = selection.plan(&store).unwrap();
    let place = dir.path().join("place");
    let job = |recording| CellsJob::new(recording, Strategy::Tiered, Path::new(&place));
    let jobs: Vec<CellsJob> = plan.recordings.iter().map(job).collect();
    let text = serde_json::to_string(&jobs).unwrap();
    // The scenario's file need not be where it was.
    fs::remove_file(&path).unwrap();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let written = runtime.block_on(run_written(&text));
    let all = |results: Vec<CellResult>| results.into_iter().map(essence).collect::<Vec<_>>();
    assert_eq!(all(written), all(run.cells));
    assert!(place.join("cells/elsewhere.lost.6.12/write.log").is_file());
}
