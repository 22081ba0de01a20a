//! `coldcut generate`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::report::stdout::outln;
use anyhow::Context as _;
use coldcut_core::generate::generate;

#[derive(Debug, clap::Args)]
pub(super) struct GenerateArgs {
    /// The first seed; a seed and a number of steps always give the same scenario
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many scenarios
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    count: u64,
    /// Steps of each; those that sync everything at the end come on top
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: u16,
    /// Directory to write them to, as random-SEED.yaml; made if it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {}", args.dir.display()))?;
    for number in 0..args.count {
        let seed = args.seed.wrapping_add(number);
        let path = args.dir.join(format!("random-{seed}.yaml"));
        std::fs::write(&path, generate(seed, args.steps.into()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    outln!("{} scenarios in {}", args.count, args.dir.display())?;
    Ok(ExitCode::SUCCESS)
}
