//! Words for what is broken: what was found, what is promised, by which step, and who says so.

use super::{Broken, Look};
use crate::filesystem::{Level, Rule};
use crate::model::{Floor, When};
use crate::outcome::verdict::ViolationKind;

impl Look<'_> {
    /// A broken rule, with the step that promised.
    pub(super) fn broken(&self, rule: Rule, kind: ViolationKind, what: &str, by: Option<When>) -> Broken {
        let by = by.map_or_else(String::new, |by| format!("; promised by {}", self.step(by)));
        Broken {
            rule,
            kind,
            evidence: format!("{what}{by}"),
            observed: false,
        }
    }

    /// What is not found though a floor promises it, or is though nobody made it.
    pub(super) fn promised(
        &self,
        floor: Option<Floor>,
        other: Rule,
        kind: ViolationKind,
        what: &str,
    ) -> Broken {
        let rule = floor.map_or(other, |floor| floor.rule);
        self.broken(rule, kind, what, floor.map(|floor| floor.by))
    }

    /// A step, as evidence names it.
    pub(super) fn step(&self, when: When) -> String {
        match when.issued {
            0 => "the setup, which was unmounted".to_owned(),
            _ => format!(
                "`{}`, acknowledged by mark {}",
                self.model.steps()[when.step],
                when.done
            ),
        }
    }
}

/// Evidence with the rule, the level, and who says so.
pub(super) fn with_source(level: &Level, rule: Rule, what: &str) -> String {
    let source = level.keeps(rule).map_or("", |kept| kept.source);
    if source.is_empty() {
        format!("{rule}: {what} ({}; observed, promised by nobody)", level.name)
    } else {
        format!("{rule}: {what} ({}: {source})", level.name)
    }
}
