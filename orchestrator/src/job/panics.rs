//! A kernel that panics while it runs the workload: a finding once a kernel booted for it does so again.

use std::sync::{Arc, OnceLock};

use coldcut_core::outcome::result::{Place, Violation};
use coldcut_core::outcome::verdict::{Verdict, ViolationKind};

use crate::job::cell::ResolvedJob;
use crate::record::recorder::{RecordJob, record};
use crate::record::refused::Refused;
use crate::record::timings::Timings;
use crate::recover::judge::{Kept, Seen};
use crate::results::CellDir;
use crate::vm::pool::Pool;
use crate::vm::{OrUnknown as _, Unknown};

/// The oops by which the kernel that records panicked; empty when it did not.
pub(crate) type Panicked = OnceLock<String>;

/// Runs the workload once more, on a kernel booted for it, since one panic may be a clone's, or QEMU's. Gives what to
/// say of it.
///
/// # Errors
/// [`Unknown`] where that kernel does not panic by an oops too.
pub(crate) async fn again(
    pool: &Arc<Pool>,
    job: &ResolvedJob,
    cell: &str,
    timings: &Timings,
    failed: &Unknown,
) -> Result<String, Unknown> {
    let path = pool.fresh_path(".again");
    let dir = CellDir::open(&path).or_unknown("making a directory")?;
    let panicked = Panicked::new();
    let to_record = RecordJob {
        cell,
        variant: &job.variant,
        kernel: &job.kernel,
        home: job.file.home(),
        dir: &dir,
        refused: &Refused::new(),
        panicked: &panicked,
        cold: true,
    };
    let recorded = record(pool, &to_record, timings).await;
    let _ = std::fs::remove_dir_all(&path);
    match (panicked.into_inner(), recorded) {
        (Some(_), _) => Ok(failed.to_string()),
        (None, Ok(_)) => Err(Unknown(format!("{failed}; a kernel booted for it did not panic"))),
        (None, Err(error)) => Err(Unknown(format!(
            "{failed}; that a kernel booted for it panics too is not known: {error}"
        ))),
    }
}

/// The verdict on a cell whose kernel panicked while the workload ran, twice. Nothing else of it is known.
pub(crate) fn verdict(seen: &mut Seen, evidence: &str) -> Verdict {
    seen.broken = 1;
    let violation = Violation {
        kind: ViolationKind::Panic,
        state: Place::WithoutCrash,
        expectation: None,
        evidence: evidence.to_owned(),
        confirmed: Some(true),
    };
    seen.violations.push(Kept::live(violation));
    Verdict::Violation {
        kinds: vec![ViolationKind::Panic],
    }
}
