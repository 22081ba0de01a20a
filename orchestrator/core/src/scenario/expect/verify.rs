//! Expectations that a program judges: their shape, and what they are lowered to.

use coldcut_wire::ExecSpec;
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::problem::Lowered;
use crate::scenario::model::{Check, Dump, LinePattern, Variant, Verifier};
use crate::scenario::step::bounded;
use crate::scenario::yaml::at::{At, Named};
use crate::scenario::yaml::error::Problem;
use crate::scenario::yaml::names::Path;
use crate::scenario::yaml::units::Millis;

/// How long a program may take to judge, unless it is said.
const TIMEOUT_MS: u64 = 60_000;

/// Options of `verify`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyShape {
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
    /// It is killed after so long, and nothing is known then; 60s when not given.
    timeout: Option<At<Millis>>,
    /// Exit codes that say that a promise is broken; 1 when not given. 0 says that all hold, any other nothing.
    violates: Option<At<Vec<u8>>>,
    /// Whether it says the same wherever it reads the same; `true` when not given. With `false` nothing that it says is
    /// inferred.
    deterministic: Option<bool>,
}

/// Options of `acknowledged`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct AcknowledgedShape {
    /// Program and arguments that print what is there, a line each; a program without a slash is looked up in `programs`.
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
    /// It is killed after so long, and nothing is known then; 60s when not given.
    timeout: Option<At<Millis>>,
    /// Exit codes that say that what is there cannot be read; 1 when not given. 0 is a whole list, any other says nothing.
    violates: Option<At<Vec<u8>>>,
    /// As in `verify`.
    deterministic: Option<bool>,
    /// What the acknowledged lines look like that are judged, such as `row {n}`; others are not looked for.
    each: At<String>,
    /// The line that is to be found for each of them, such as `{n}`; the acknowledged line itself when not given.
    found: Option<At<String>>,
    /// Whether nothing may be missing before what is there, in the order in which it was acknowledged.
    #[serde(default)]
    prefix: bool,
}

/// What both have.
struct Program<'a> {
    argv: &'a At<Vec<String>>,
    env: Option<&'a Named<String>>,
    cwd: Option<&'a At<Path>>,
    timeout: Option<&'a At<Millis>>,
    violates: Option<&'a At<Vec<u8>>>,
    deterministic: Option<bool>,
}

impl VerifyShape {
    /// As a check of this variant.
    pub(super) fn lower(&self, variant: &Variant) -> Lowered<Check> {
        let program = Program {
            argv: &self.argv,
            env: self.env.as_ref(),
            cwd: self.cwd.as_ref(),
            timeout: self.timeout.as_ref(),
            violates: self.violates.as_ref(),
            deterministic: self.deterministic,
        };
        Ok(Check::Verify(program.verifier(variant, None)?))
    }
}

impl AcknowledgedShape {
    /// As a check of this variant.
    pub(super) fn lower(&self, variant: &Variant) -> Lowered<Check> {
        if !variant.acknowledges_lines() {
            let message = "no `exec` step of the workload has a `mark_prefix`, so no line is acknowledged";
            return Err(Problem::new(&self.each.span, message).into());
        }
        let pattern = |text: &At<String>| {
            let parsed = LinePattern::parse(&text.value);
            parsed.map_err(|message| Box::new(Problem::new(&text.span, message)))
        };
        let each = pattern(&self.each)?;
        let found = self.found.as_ref().map_or_else(|| Ok(each.clone()), pattern)?;
        let unknown = found
            .names()
            .find(|name| !each.names().any(|known| known == *name));
        if let (Some(name), Some(at)) = (unknown, &self.found) {
            let message = format!("`each` has no `{{{name}}}`, so nothing says what it stands for");
            return Err(Problem::new(&at.span, message).into());
        }
        let program = Program {
            argv: &self.argv,
            env: self.env.as_ref(),
            cwd: self.cwd.as_ref(),
            timeout: self.timeout.as_ref(),
            violates: self.violates.as_ref(),
            deterministic: self.deterministic,
        };
        let prefix = self.prefix;
        Ok(Check::Verify(
            program.verifier(variant, Some(Dump { each, found, prefix }))?,
        ))
    }
}

impl Program<'_> {
    fn verifier(&self, variant: &Variant, dump: Option<Dump>) -> Lowered<Verifier> {
        let Some(program) = self.argv.value.first().filter(|program| !program.is_empty()) else {
            let message = "expected a program and its arguments, found an empty list";
            return Err(Problem::new(&self.argv.span, message).into());
        };
        let programs = &variant.programs;
        if programs.programs.is_none() && programs.rootfs.is_none() {
            let message =
                format!("`{program}` cannot be found: the scenario names no directory with programs");
            let help = "add `programs: DIR` or `rootfs: DIR` (relative to this file) beside `workload`";
            return Err(Problem::new(&self.argv.span, message).help(help).into());
        }
        let violates = match self.violates {
            None => vec![1],
            Some(codes) if codes.value.is_empty() || codes.value.contains(&0) => {
                let message = "expected exit codes other than 0, at least one: without any it could not fail";
                return Err(Problem::new(&codes.span, message).into());
            }
            Some(codes) => codes.value.iter().map(|code| i32::from(*code)).collect(),
        };
        let env = self.env.map_or(&[][..], |env| &env.0);
        let cwd = self
            .cwd
            .map(|cwd| cwd.value.0.clone())
            .filter(|cwd| !cwd.is_empty());
        let spec = ExecSpec {
            argv: self.argv.value.clone(),
            env: env.iter().map(|(k, v)| (k.value.clone(), v.clone())).collect(),
            cwd: cwd.unwrap_or_else(|| ".".to_owned()),
            root: None,
            timeout_ms: self.timeout.map_or(Ok(TIMEOUT_MS), bounded)?,
        };
        Ok(Verifier {
            spec,
            violates,
            deterministic: self.deterministic.unwrap_or(true),
            dump,
        })
    }
}
