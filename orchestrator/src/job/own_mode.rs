//! Whether a cell in another mode than its scenario's is about something that there is not: a filesystem that mkfs or
//! the kernel refuses, or a step that the kernel refuses there and does in the scenario's own mode.

use std::sync::Arc;

use coldcut_core::scenario::{Scenario, Variant};

use crate::job::cell::ResolvedJob;
use crate::job::panics::Panicked;
use crate::record::recorder::{RecordJob, record};
use crate::record::refused::Refused;
use crate::record::timings::Timings;
use crate::results::CellDir;
use crate::vm::pool::Pool;
use crate::vm::{OrUnknown as _, Unknown};

/// What is to be said of a recording that failed, and whether the mode is not applicable.
pub(crate) async fn judge(
    pool: &Arc<Pool>,
    job: &ResolvedJob,
    cell: &str,
    timings: &Timings,
    failed: Unknown,
    refused: &Refused,
) -> (Unknown, bool) {
    let Some(mode) = &job.variant.mode else {
        // Only where a mode was asked for is it no defect of the scenario.
        return (failed, false);
    };
    if failed.is_refusal() {
        return (failed, true);
    }
    if !refused
        .get()
        .is_some_and(|step| failed.0.ends_with(step.as_str()))
    {
        return (failed, false);
    }
    match does_it(pool, job, cell, &mode.own, timings).await {
        Ok(()) => {
            let told = format!("{failed}; in the scenario's own mode this kernel does it");
            (Unknown(told), true)
        }
        Err(why) => {
            let told =
                format!("{failed}; that this kernel does it in the scenario's own mode is not known: {why}");
            (Unknown(told), false)
        }
    }
}

/// Runs the same steps in the scenario's own mode, to their end; nothing of it is kept.
async fn does_it(
    pool: &Arc<Pool>,
    job: &ResolvedJob,
    cell: &str,
    own: &str,
    timings: &Timings,
) -> Result<(), Unknown> {
    let file = &job.file;
    let scenario = Scenario::parse(&file.path.display().to_string(), &file.text)
        .or_unknown("reading the scenario again")?;
    let same_steps = |v: &&Variant| (&v.setup, &v.workload) == (&job.variant.setup, &job.variant.workload);
    let variant = scenario
        .variant(own)
        .filter(same_steps)
        .ok_or_else(|| Unknown(format!("the scenario has no `{own}` with these steps")))?;
    let path = pool.fresh_path(".own");
    let dir = CellDir::open(&path).or_unknown("making a directory")?;
    let to_record = RecordJob {
        cell,
        variant,
        kernel: &job.kernel,
        home: file.home(),
        dir: &dir,
        refused: &Refused::new(),
        panicked: &Panicked::new(),
        cold: false,
    };
    let recorded = record(pool, &to_record, timings).await;
    let _ = std::fs::remove_dir_all(&path);
    recorded.map(drop)
}
