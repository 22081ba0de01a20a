//! Finds out why there is no recording. A kernel that panicked, or refused a step that it may do in another mode,
//! is tried once more before anything is concluded.

use std::sync::Arc;

use coldcut_core::outcome::unknown::{OrUnknown as _, Unknown};
use coldcut_core::scenario::{Scenario, Variant};

use crate::job::scenario_file::ScenarioFile;
use crate::kernel::Kernel;
use crate::record::job::RecordJob;
use crate::record::recorder::{RecordFailure, Recorded, record};
use crate::record::timings::Timings;
use crate::results::CellDir;
use crate::vm::pool::Pool;

/// What is known where there is no recording.
pub(crate) enum Unrecorded {
    /// The kernel panicked while the workload ran, and so did one booted for it: the evidence.
    Panicked(String),
    /// This kernel or its mkfs lacks the variant's mode, so the cell does not apply.
    NotApplicable(Unknown),
    /// Nothing is known.
    Unknown(Unknown),
}

/// Records once more what could not be recorded, to learn why; nothing of it is kept.
pub(crate) struct Again<'a> {
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) file: &'a ScenarioFile,
    pub(crate) variant: &'a Variant,
    pub(crate) kernel: &'a Kernel,
    /// The cell's id, for events.
    pub(crate) cell: &'a str,
    pub(crate) timings: &'a Timings,
}

impl Again<'_> {
    /// Finds out what a failed recording means.
    pub(crate) async fn explain(&self, failure: RecordFailure) -> Unrecorded {
        let RecordFailure { why, oops } = failure;
        if oops.is_some() {
            return self.panics(why).await;
        }
        match &self.variant.mode {
            Some(_) if why.is_refusal() => Unrecorded::NotApplicable(why),
            Some(mode) if why.is_unsupported_step() => self.in_own_mode(&mode.own, why).await,
            // Only where a mode was asked for is it no defect of the scenario.
            None | Some(_) => Unrecorded::Unknown(why),
        }
    }

    /// Runs the workload on a kernel booted for it, since one panic may be a clone's, or QEMU's.
    async fn panics(&self, why: Unknown) -> Unrecorded {
        let also = match self.record(self.variant, true).await {
            Err(RecordFailure { oops: Some(_), .. }) => return Unrecorded::Panicked(why.to_string()),
            Ok(_) => "a kernel booted for it did not panic".to_owned(),
            Err(error) => format!(
                "that a kernel booted for it panics too is not known: {}",
                error.why
            ),
        };
        Unrecorded::Unknown(why.in_words(|words| format!("{words}; {also}")))
    }

    /// Runs the same steps in the scenario's own mode: only where this kernel does there what it refuses here is it a
    /// matter of the mode.
    async fn in_own_mode(&self, own: &str, why: Unknown) -> Unrecorded {
        match self.record_own(own).await {
            Ok(_) => {
                let also = "in the scenario's own mode this kernel does it";
                Unrecorded::NotApplicable(why.in_words(|words| format!("{words}; {also}")))
            }
            Err(RecordFailure { why: error, .. }) => {
                let also =
                    format!("that this kernel does it in the scenario's own mode is not known: {error}");
                Unrecorded::Unknown(why.in_words(|words| format!("{words}; {also}")))
            }
        }
    }

    async fn record_own(&self, own: &str) -> Result<Recorded, RecordFailure> {
        let (file, asked) = (self.file, self.variant);
        let scenario = Scenario::parse(&file.path.display().to_string(), &file.text)
            .or_unknown("reading the scenario again")?;
        let same_steps = |v: &&Variant| (&v.setup, &v.workload) == (&asked.setup, &asked.workload);
        let variant = scenario
            .variant(own)
            .filter(same_steps)
            .ok_or_else(|| Unknown::new(format!("the scenario has no `{own}` with these steps")))?;
        self.record(variant, false).await
    }

    async fn record(&self, variant: &Variant, cold: bool) -> Result<Recorded, RecordFailure> {
        let path = self.pool.fresh_path(".again");
        let dir = CellDir::open(&path).or_unknown("making a directory")?;
        let to_record = RecordJob {
            cell: self.cell,
            variant,
            kernel: self.kernel,
            home: self.file.home(),
            dir: &dir,
            cold,
        };
        let recorded = record(self.pool, &to_record, self.timings).await;
        let _ = std::fs::remove_dir_all(&path);
        recorded
    }
}
