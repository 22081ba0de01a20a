//! Crash plans on the command line.

use clap::ValueEnum;
use coldcut_core::crash::plan::{At, CrashSpec, DiscardModel};
use coldcut_core::crash::state::PlanKind;

/// Which crash states.
#[derive(Debug, clap::Args)]
pub(super) struct SpecArgs {
    /// Plans, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "barriers")]
    plan: Vec<PlanArg>,
    /// At most so many states of each plan, evenly spread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    budget: Option<u64>,
    /// At most so many states of `reorder`, `torn` and `combinations` at one cut
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    per_cut: u32,
    /// Seed of the samples of `reorder` and `combinations`
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Also cut at a mark, or after an entry given by its number
    #[arg(long, value_name = "MARK|ENTRY")]
    at: Vec<String>,
    /// Only from one mark to another
    #[arg(long, num_args = 2, value_names = ["MARK", "MARK"])]
    between: Option<Vec<String>>,
    /// What discarded blocks may read as
    #[arg(long, value_enum, default_value_t = DiscardArg::Zeros)]
    discard: DiscardArg,
    /// Bytes at which writes may tear; less than the device's own atomic unit is a hazard of its own
    #[arg(long, value_name = "BYTES", value_parser = atomic_unit)]
    atomic_unit: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PlanArg {
    /// At barriers and marks: what is durable, and that with all that completed
    Barriers,
    /// After every write: every prefix
    Writes,
    /// Before barriers and at marks: subsets of what is volatile
    Reorder,
    /// One volatile write torn at the atomic unit
    Torn,
    /// Subsets of what is volatile, with one of the chosen writes torn
    Combinations,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DiscardArg {
    /// Zeros
    Zeros,
    /// Anything: zeros, what was there before, garbage
    Indeterminate,
}

impl SpecArgs {
    pub(super) fn spec(&self) -> CrashSpec {
        let mut plans = Vec::new();
        for plan in &self.plan {
            let plan = match plan {
                PlanArg::Barriers => PlanKind::Barriers,
                PlanArg::Writes => PlanKind::Writes,
                PlanArg::Reorder => PlanKind::Reorder,
                PlanArg::Torn => PlanKind::Torn,
                PlanArg::Combinations => PlanKind::Combinations,
            };
            if !plans.contains(&plan) {
                plans.push(plan);
            }
        }
        if !self.at.is_empty() {
            plans.push(PlanKind::At);
        }
        CrashSpec {
            plans,
            budget: self.budget,
            seconds: None,
            recovery: 0,
            per_cut: self.per_cut,
            seed: self.seed,
            at: self.at.iter().map(|given| at(given)).collect(),
            between: match self.between.as_deref() {
                Some([from, to]) => Some([from.clone(), to.clone()]),
                _ => None,
            },
            discard: match self.discard {
                DiscardArg::Zeros => DiscardModel::Zeros,
                DiscardArg::Indeterminate => DiscardModel::Indeterminate,
            },
            atomic_unit: self.atomic_unit,
        }
    }
}

fn at(given: &str) -> At {
    given
        .parse()
        .map_or_else(|_| At::Mark(given.to_owned()), At::Entry)
}

fn atomic_unit(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|unit: &u32| unit.is_power_of_two() && (512..=1 << 30).contains(unit))
        .ok_or_else(|| "expected a power of two from 512 on".to_owned())
}
