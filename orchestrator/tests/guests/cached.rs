//! A screening guest that keeps what it read of one state shows it in the next, and nobody sees a read: the sample, which
//! fresh kernels recover, notices.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coldcut::disk::Device;
use coldcut::job::cell::run_cells;
use coldcut::job::data::{CellsJob, Resolver};
use coldcut::job::plan::RunSelection;
use coldcut::job::scenario_file::ScenarioFile;
use coldcut::kernel::Store;
use coldcut::recover::recoverer::{Machines, RecoverJob, Recoverer, Screener};
use coldcut::report::EventSink;
use coldcut::vm::client::{GuestClient, Mount};
use coldcut::vm::machine::{AccelChoice, DiskSpec, Machine};
use coldcut::vm::open::MachineSettings;
use coldcut::vm::pool::Pool;
use coldcut_core::oracle::cell::Strategy;
use coldcut_core::outcome::recovery::{Recovery, Trust};
use coldcut_core::outcome::result::CellResult;
use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::outcome::verdict::Standing;

use crate::common::turn;

/// Six files overwritten past the page cache: each state of the last cut has its own mixture of old and new.
fn scenario() -> String {
    let lines = |line: &dyn Fn(u32) -> String| (0..6).map(line).collect::<String>();
    format!(
        "format: 1\nname: kept\nfilesystem: {{type: ext4, size: 32MiB, mkfs: [\"-b\", \"4096\"]}}\nsetup:\n{}workload:\n{}  - \
         mark: written\ncrash: all\nend: cut\nexpect:\n  - content: {{path: f0, is: f0@1}}\n    after: written\n\
         outcome: {{violates: content}}\n",
        lines(&|number| format!("  - write: {{path: f{number}, len: 8KiB, content: f{number}@0}}\n")),
        lines(&|number| format!(
            "  - write: {{path: f{number}, len: 8KiB, content: f{number}@1, flags: [direct]}}\n"
        )),
    )
}

/// Recovers on real machines, but for guests that screen: those never unmount.
struct Keeping;

struct KeepingGuest {
    machine: Machine,
    device: Device,
    mounted: bool,
}

impl Recoverer for Keeping {
    type Job = RecoverJob;
    type Screener = KeepingGuest;

    async fn recover(&self, pool: &Pool, job: &RecoverJob, trust: Trust) -> Result<Recovery, Unknown> {
        Machines.recover(pool, job, trust).await
    }

    async fn record(&self, pool: &Pool, job: &RecoverJob, files: (&Path, &Path)) -> Result<(), Unknown> {
        Machines.record(pool, job, files).await
    }

    async fn screener(&self, pool: &Pool, job: &RecoverJob) -> Result<KeepingGuest, Unknown> {
        let socket = pool.fresh_path(".sock");
        let device = Device::bind(&socket, Arc::clone(&job.image)).or_unknown("starting the disk")?;
        let initrd = pool
            .initrd(&job.kernel, &job.mount.fstype, None)
            .or_unknown("preparing the machine")?;
        let disk = DiskSpec::nbd(socket, job.image.size());
        let spec = pool.spec(&job.kernel, initrd, Some(disk))?;
        let (machine, _) = pool.fresh(&spec, &job.console).await?;
        Ok(KeepingGuest {
            machine,
            device,
            mounted: false,
        })
    }
}

impl Screener<RecoverJob> for KeepingGuest {
    async fn recover(&mut self, pool: &Pool, job: &RecoverJob) -> Result<Recovery, Unknown> {
        let disk = self.device.handle();
        disk.serve(Arc::clone(&job.image), Duration::from_secs(30))
            .await
            .or_unknown("changing the disk")?;
        let client = GuestClient::new(&self.machine, pool.limits);
        if !self.mounted {
            let read_only = Mount {
                flags: vec!["ro".into()],
                ..job.mount.clone()
            };
            let mounted = client.mount(&read_only).await.or_unknown("mounting")?;
            mounted.map_err(|error| Unknown::new(error.to_string()))?;
            self.mounted = true;
        }
        let tree = client
            .walk(job.patterns.to_vec(), job.image.size() * 4)
            .await
            .or_unknown("looking")?;
        Ok(Recovery {
            tree,
            panic: None,
            ..Recovery::panicked(Trust::Screened, String::new())
        })
    }

    fn spoiled(&self) -> bool {
        false
    }
}

async fn judged<R: Recoverer<Job = RecoverJob>>(dir: &Path, recoverer: R) -> CellResult {
    turn::take();
    std::fs::create_dir_all(dir).unwrap();
    let path = dir.join("kept.yaml");
    std::fs::write(&path, scenario()).unwrap();
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
    let place = dir.join("place");
    let job = CellsJob::new(&plan.recordings[0], Strategy::Tiered, &place);
    let work = Resolver::new(&store).resolve(&job).unwrap();
    let settings = MachineSettings {
        accel: AccelChoice::Auto,
        jobs: 1,
        quota: coldcut::host::quota::QuotaSettings::default(),
    };
    let pool = Pool::open(settings, EventSink::new(Vec::new()), &work.kernel)
        .await
        .unwrap();
    // Recoveries of other tests would answer before the guest is asked.
    let pool = pool.with_templates(coldcut::vm::templates::Templates::open(&dir.join("templates")).unwrap());
    let results = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&results);
    let done = move |result| kept.lock().unwrap().push(result);
    run_cells(Arc::new(pool), Arc::new(recoverer), work, done).await;
    let mut results = Arc::into_inner(results).unwrap().into_inner().unwrap();
    results.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_a_guest_kept_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let kept = judged(&dir.path().join("kept"), Keeping).await;
    let sound = judged(&dir.path().join("sound"), Machines).await;
    for cell in [&kept, &sound] {
        assert_eq!(cell.standing, Standing::AsDeclared, "{cell:#?}");
    }
    let [kept_done, sound_done] = [&kept, &sound].map(|cell| cell.states.complete.clone().unwrap());
    assert_eq!(sound_done.differing, 0, "{sound:#?}");
    assert!(sound_done.is_whole() && sound_done.recoveries < 60, "{sound:#?}");
    assert!(kept_done.differing > 0, "{kept:#?}");
    assert_eq!(
        kept.states.inferred, 0,
        "nothing inferred is trusted any more: {kept:#?}"
    );
    assert_eq!(kept.states.screened, 0, "nor what that guest said: {kept:#?}");
}
