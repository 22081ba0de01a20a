//! What `coldcut run`, `coldcut stories` and `coldcut matrix` share: how cells are run, what is shown of them, and how it ends.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use coldcut_core::outcome::result::RunResult;
use coldcut_core::outcome::shard::Shard;

use super::ResultsArg;
use super::machines::{MachineArgs, TrustArgs};
use super::reports::ReportArgs;
use crate::job::earlier::Earlier;
use crate::job::plan::RunSelection;
use crate::job::run::{PAGE, RunSettings, run};
use crate::job::scenario_file::ScenarioFile;
use crate::kernel::Store;
use crate::report::stdout::{errln, outln};
use crate::report::{JsonLines, LiveProgress, Render, Reporter, ScreenReport};
use crate::results::find_run;

/// How the cells of a run are run.
#[derive(Debug, clap::Args)]
pub(super) struct CellArgs {
    /// Recover what each kernel recorded on these kernels of the store, in place of what the scenarios say; `same` is
    /// the kernel that recorded it
    #[arg(long, value_delimiter = ',', value_name = "KERNEL")]
    recover_on: Vec<String>,
    /// Who judges besides the scenarios' own expectations: `auto` does, by what follows from the steps and what the
    /// filesystem promises in its mode
    #[arg(long, value_enum, value_name = "WHO")]
    oracle: Option<Oracle>,
    /// Print the events as JSON lines instead of progress and table
    #[arg(long)]
    json: bool,
    /// Seed of everything that is sampled
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Only part I of N of the cells, for machines that share the work; `coldcut merge` puts the parts together
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Run each cell so many times; a verdict that is not always the same counts as not as declared
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Go on with the recordings of this run: its id, the beginning of it, or its directory. A complete plan then begins
    /// with what is known already
    #[arg(long, value_name = "RUN")]
    resume: Option<String>,
    #[command(flatten)]
    reports: ReportArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    machines: MachineArgs,
    #[command(flatten)]
    results: ResultsArg,
}

/// Who judges besides the expectations.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Oracle {
    /// The rules of docs/oracle.md.
    Auto,
}

impl CellArgs {
    /// These scenarios, judged by whom the command line says.
    pub(super) fn judged(&self, files: Vec<Arc<ScenarioFile>>) -> anyhow::Result<Vec<Arc<ScenarioFile>>> {
        match self.oracle {
            None => Ok(files),
            Some(Oracle::Auto) => {
                let judged = files.iter().map(|file| Ok(Arc::new(file.with_oracle()?)));
                judged.collect()
            }
        }
    }

    /// Runs these scenarios (these of their variants; all where there are none) on these kernels, and prints a report
    /// that looks like `table`.
    pub(super) async fn run(
        &self,
        files: Vec<Arc<ScenarioFile>>,
        variants: &[String],
        kernels: &[String],
        table: Render,
    ) -> anyhow::Result<RunResult> {
        let screen: Vec<Box<dyn Reporter>> = vec![
            Box::new(LiveProgress::new()),
            Box::new(ScreenReport::new("\n", table)),
        ];
        self.run_shown(files, variants, kernels, screen, None).await
    }

    /// [`Self::run`] with reporters of its own on the screen, where no JSON is asked for. No recording is begun after
    /// `until`.
    pub(super) async fn run_shown(
        &self,
        files: Vec<Arc<ScenarioFile>>,
        variants: &[String],
        kernels: &[String],
        screen: Vec<Box<dyn Reporter>>,
        until: Option<Instant>,
    ) -> anyhow::Result<RunResult> {
        let store = Store::open_default()?;
        let kernels = kernels
            .iter()
            .map(|spec| Ok((spec.clone(), Arc::new(store.find(spec)?))))
            .collect::<anyhow::Result<_>>()?;
        let mut screen = if self.json {
            vec![Box::new(JsonLines::new(std::io::stdout())) as Box<dyn Reporter>]
        } else {
            screen
        };
        screen.extend(self.reports.reporters()?);
        let selection = RunSelection {
            files,
            kernels,
            variants: variants.to_vec(),
            recover_on: self.recover_on.clone(),
            repeat: self.repeat,
            shard: self.shard,
        };
        let plan = selection.plan(&store)?;
        for note in &plan.notes {
            errln!("note: {note}");
        }
        let earlier = match &self.resume {
            Some(run) => Some(Earlier::load(&find_run(&self.results.results, run)?)?),
            None => None,
        };
        let settings = RunSettings {
            resume: earlier.as_ref(),
            until,
            seed: self.seed,
            strategy: self.trust.strategy(),
            machines: self.machines.settings(),
            results: &self.results.results,
        };
        let ran = run(&plan, &settings, &store, screen).await?;
        if !self.json {
            // The results are there, whoever reads of it.
            let _ = outln!("results: {}", ran.dir.display());
            let _ = outln!("page:    {}", ran.dir.join(PAGE).display());
        }
        Ok(ran.result)
    }

    /// Whether events are printed in place of progress and reports.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// The directory of a run.
    pub(super) fn results_of(&self, run: &RunResult) -> PathBuf {
        self.results.results.join(&run.run)
    }

    /// How the command ends.
    pub(super) fn exit_code(&self, result: &RunResult) -> ExitCode {
        if result.cells.is_empty() && self.shard.is_some() {
            // Another part has them.
            errln!("no cell is in this part");
            return ExitCode::SUCCESS;
        }
        ExitCode::from(result.totals.exit_code())
    }
}
