//! `coldcut diff`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use coldcut_core::outcome::diff::{render_differences, render_profiles};
use coldcut_core::outcome::verdict::Verdict;

use super::ResultsArg;
use super::machines::MachineArgs;
use crate::job::compare::{Compared, compare_images, compare_on, compare_points};
use crate::job::recorded::{RecordedCell, pairs, recorded_cells};
use crate::kernel::Store;
use crate::report::stdout::{OutputError, errln, out, outln};
use crate::report::{EventSink, verdict_text};
use crate::vm::pool::Pool;

/// Say what differs between kernels: in what they send to the disk, and in what they recover
///
/// With two RUNs (or RUN/CELL) cells of the same scenario and variant are compared; with one, its cells on different
/// kernels. Kernels that recovered the same recording (`recover_on`) are compared content by content: the same log and
/// state, two kernels. Where each made its own recording, their crash states have no content in common: what is compared
/// is what was recovered at the same points of the workload, where the same had been acknowledged. With --on, each
/// content of RUN is recovered again on another kernel.
///
/// Exit codes: 0 no difference, 1 some, 2 usage, 3 nothing could be compared.
#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// A run, or a cell of it
    #[arg(value_name = "RUN[/CELL]")]
    left: String,
    /// Another
    #[arg(value_name = "RUN[/CELL]")]
    right: Option<String>,
    /// Recover the contents of RUN on this kernel of the store, and compare
    #[arg(long, value_name = "KERNEL", conflicts_with = "right")]
    on: Option<String>,
    /// With --on: at most so many contents of a cell; how many are left out is said
    #[arg(long, value_name = "N", default_value_t = 100)]
    most: usize,
    #[command(flatten)]
    machines: MachineArgs,
    #[command(flatten)]
    results: ResultsArg,
}

/// What was found, counted.
#[derive(Default)]
struct Sum {
    compared: usize,
    differ: usize,
}

impl Sum {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match (self.compared, self.differ) {
            (0, 0) => 3,
            (_, 0) => 0,
            _ => 1,
        })
    }
}

pub(super) async fn run(args: DiffArgs) -> anyhow::Result<ExitCode> {
    let cells = |text: &str| recorded_cells(&args.results.results, text, note);
    let left = cells(&args.left)?;
    let mut sum = Sum::default();
    if let Some(kernel) = &args.on {
        for cell in &left {
            on(cell, kernel, &args, &mut sum).await?;
        }
        return Ok(sum.exit_code());
    }
    let right = args.right.as_deref().map(cells).transpose()?;
    let pairs = pairs(&left, right.as_deref());
    if pairs.is_empty() {
        bail!(match right {
            Some(_) => "the two have no scenario and variant in common",
            None => "no scenario ran on several kernels here; give a second run, or --on KERNEL",
        });
    }
    for (a, b) in pairs {
        compare(a, b, &mut sum)?;
    }
    Ok(sum.exit_code())
}

#[allow(clippy::needless_pass_by_value)] // whoever has a note to give gives it away
fn note(text: String) {
    errln!("note: {text}");
}

fn compare(a: &RecordedCell, b: &RecordedCell, sum: &mut Sum) -> anyhow::Result<()> {
    let cell = &a.kept.cell;
    outln!(
        "{} {}: {} | {}",
        cell.scenario,
        cell.variant,
        a.kernels(),
        b.kernels()
    )?;
    if let (Some(x), Some(y)) = (&a.result, &b.result) {
        verdicts(&x.verdict, &y.verdict, sum)?;
    }
    if a.same_recording(b) {
        outln!("  the same recording")?;
        show("recovered from the same contents", &compare_images(a, b)?, sum)?;
        return Ok(());
    }
    let table = render_profiles(&a.profile(), &b.profile());
    if table.is_empty() {
        outln!("  sent to the disk: the same counts in every step")?;
    } else {
        sum.differ += 1;
        outln!("  sent to the disk:")?;
        for line in table.lines() {
            outln!("  {line}")?;
        }
    }
    show("recovered at the same points", &compare_points(a, b)?, sum)?;
    Ok(())
}

/// Shows two verdicts. Where nothing is known of both, whatever the causes, no difference is known.
fn verdicts(a: &Verdict, b: &Verdict, sum: &mut Sum) -> Result<(), OutputError> {
    let unknown = |verdict: &Verdict| matches!(verdict, Verdict::Inconclusive { .. });
    sum.differ += usize::from(a != b && !(unknown(a) && unknown(b)));
    let (x, y) = (verdict_text(a), verdict_text(b));
    outln!("  verdict: {}", if x == y { x } else { format!("{x} | {y}") })
}

/// Shows what differs, the same differences once.
fn show(title: &str, compared: &Compared, sum: &mut Sum) -> Result<(), OutputError> {
    let (all, differing) = (compared.states.len(), compared.differing());
    sum.compared += all;
    sum.differ += differing;
    let left_out = match compared.missing {
        0 => String::new(),
        missing => format!("; {missing} were not recovered on both"),
    };
    outln!("  {title}: {all} compared, {differing} differ{left_out}")?;
    for (differences, names) in compared.groups() {
        let more = match names.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        outln!("    {}{more}", names[0])?;
        out!("{}", render_differences(differences, "      "))?;
    }
    Ok(())
}

/// Recovers a cell's contents on another kernel: the same log and state.
async fn on(cell: &RecordedCell, spec: &str, args: &DiffArgs, sum: &mut Sum) -> anyhow::Result<()> {
    let kernel = Arc::new(Store::open_default()?.find(spec)?);
    outln!(
        "{} {}: recorded on {}, recovered on {} | recovered on {}",
        cell.kept.cell.scenario,
        cell.kept.cell.variant,
        cell.release,
        cell.recovered,
        kernel.release()
    )?;
    let pool = Pool::open(args.machines.settings(), EventSink::new(Vec::new()), &kernel).await?;
    let pool = pool.with_cached_templates()?;
    let compared = compare_on(cell, &pool, (spec, &kernel), args.most, note).await?;
    show("recovered from the same contents", &compared, sum)?;
    Ok(())
}
