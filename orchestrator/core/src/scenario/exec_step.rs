//! Steps that run a program.

use coldcut_wire::ExecSpec;

use super::model::Action;
use super::step_doc::ExecDoc;
use super::steps::{Lowering, bounded, guest};
use super::yaml::error::Problem;

impl Lowering<'_> {
    pub(super) fn exec(&self, doc: &ExecDoc) -> Result<Action, Box<Problem>> {
        let Some(program) = doc.argv.value.first().filter(|p| !p.is_empty()) else {
            return Err(Problem::new(
                &doc.argv.span,
                "expected a program and its arguments, found an empty list",
            )
            .into());
        };
        if self.programs.programs.is_none() && self.programs.rootfs.is_none() {
            let message =
                format!("`{program}` cannot be found: the scenario names no directory with programs");
            let help = "add `programs: DIR` or `rootfs: DIR` (relative to this file) beside `workload`";
            return Err(Problem::new(&doc.argv.span, message).help(help).into());
        }
        if let Some(prefix) = doc.mark_prefix.as_ref().filter(|p| p.value.is_empty()) {
            return Err(Problem::new(&prefix.span, "an empty prefix would make every line a mark").into());
        }
        let timeout_ms = doc.timeout.as_ref().map_or(Ok(60_000), bounded)?;
        let env = doc.env.as_ref().map_or(&[][..], |env| &env.0);
        let spec = ExecSpec {
            argv: doc.argv.value.clone(),
            env: env.iter().map(|(k, v)| (k.value.clone(), v.clone())).collect(),
            cwd: doc
                .cwd
                .as_ref()
                .map_or_else(|| ".".to_owned(), |cwd| guest(&cwd.value.0)),
            root: None,
            timeout_ms,
        };
        Ok(Action::Exec {
            spec,
            mark_prefix: doc.mark_prefix.as_ref().map(|p| p.value.clone()),
        })
    }
}
