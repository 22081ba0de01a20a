//! Reports in files, which several commands write.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};

use crate::report::formats::FILE_FORMATS;
use crate::report::{FileFormat, FileReport, Reporter};

/// Which reports to write: an option for each kind that there is.
#[derive(Clone, Debug, Default)]
pub(super) struct ReportArgs {
    files: Vec<(&'static FileFormat, PathBuf)>,
}

impl clap::Args for ReportArgs {
    fn augment_args(command: Command) -> Command {
        let option = |format: &FileFormat| {
            Arg::new(format.name)
                .long(format.name)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help(format.help)
        };
        command.args(FILE_FORMATS.iter().map(option))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for ReportArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |format: &'static FileFormat| Some((format, matches.get_one(format.name).cloned()?));
        Ok(Self {
            files: FILE_FORMATS.iter().filter_map(given).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl ReportArgs {
    /// Reporters that keep the files up to date.
    pub(super) fn reporters(&self) -> anyhow::Result<Vec<Box<dyn Reporter>>> {
        let reporter = |(format, path): &(&FileFormat, PathBuf)| {
            let report = FileReport::new(path, format.render).with_context(|| path.display().to_string())?;
            Ok(Box::new(report) as Box<dyn Reporter>)
        };
        self.files.iter().map(reporter).collect()
    }
}
