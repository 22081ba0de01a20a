//! Steps that run a program.

use coldcut_wire::ExecSpec;
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::bounded;
use super::lowering::Lowering;
use super::target::guest;
use crate::scenario::model::Action;
use crate::scenario::yaml::at::{At, Named};
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::names::Path;
use crate::scenario::yaml::units::Millis;

/// Options of `exec`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ExecShape {
    /// Program and arguments; a program without a slash is looked up in `programs`.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Vec<crate::scenario::yaml::schema::Scalar>")
    )]
    argv: At<Vec<String>>,
    /// Additions to the environment.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<Named<crate::scenario::yaml::schema::Scalar>>")
    )]
    env: Option<Named<String>>,
    /// Working directory below the mounted root; the root when not given.
    cwd: Option<At<Path>>,
    /// Lines of its standard output that begin so are acknowledgements: the rest of the line is a mark's text, for
    /// `after: {line: TEXT}`.
    mark_prefix: Option<At<String>>,
    /// Give it a terminal as standard output: most programs then print each line when it is complete, and not all of them at
    /// their end.
    #[serde(default)]
    pty: bool,
    /// It is killed after so long, which makes the cell inconclusive; 60s when not given.
    timeout: Option<At<Millis>>,
}

impl ExecShape {
    pub(super) fn lower(&self, cx: &Lowering<'_>) -> Lowered<Action> {
        let Some(program) = self.argv.value.first().filter(|p| !p.is_empty()) else {
            return Err(Problem::new(
                &self.argv.span,
                "expected a program and its arguments, found an empty list",
            )
            .into());
        };
        if cx.programs.programs.is_none() && cx.programs.rootfs.is_none() {
            let message =
                format!("`{program}` cannot be found: the scenario names no directory with programs");
            let help = "add `programs: DIR` or `rootfs: DIR` (relative to this file) beside `workload`";
            return Err(Problem::new(&self.argv.span, message).help(help).into());
        }
        if let Some(prefix) = self.mark_prefix.as_ref().filter(|p| p.value.is_empty()) {
            return Err(Problem::new(&prefix.span, "an empty prefix would make every line a mark").into());
        }
        let timeout_ms = self.timeout.as_ref().map_or(Ok(60_000), bounded)?;
        let env = self.env.as_ref().map_or(&[][..], |env| &env.0);
        let spec = ExecSpec {
            argv: self.argv.value.clone(),
            env: env.iter().map(|(k, v)| (k.value.clone(), v.clone())).collect(),
            cwd: self
                .cwd
                .as_ref()
                .map_or_else(|| ".".to_owned(), |cwd| guest(&cwd.value)),
            root: None,
            timeout_ms,
        };
        Ok(Action::Exec {
            spec,
            mark_prefix: self.mark_prefix.as_ref().map(|p| p.value.clone()),
            pty: self.pty,
        })
    }
}
