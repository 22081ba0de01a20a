//! Judges what was recovered by nothing but what the steps did: `expect: auto`.
//!
//! A [`Model`] of the recording says what each name may lead to at the cut and what each inode may be, and the filesystem's
//! [`Level`] by which rules. What is found is followed from the root: a name is right if what it leads to is right for any of
//! the inodes that the name may lead to. What the model does not know is judged by nothing.
//!
//! Every promise about a name counts as an obligation. What breaks a rule for which the level has no source is not a
//! finding, but observed.

mod attributes;
mod data;
mod entries;
mod evidence;
mod links;

use std::cell::{Cell, OnceCell};
use std::sync::{Arc, OnceLock};

use super::CheckOutcome;
use super::history::{Firsts, History};
use super::origin::Origins;
use super::tree::Tree;
use crate::filesystem::{Level, Rule};
use crate::model::{InodeId, Model};
use crate::outcome::verdict::ViolationKind;
use crate::scenario::{Check, Variant};

use links::{Found, Names};

/// Inodes that one judgement compares with what was found, at most: names that may lead to many directories multiply.
const MOST: u32 = 200_000;

/// What the automatic oracle knows of a variant; of its recording, once it has seen a history of it.
#[derive(Clone, Debug)]
pub(super) struct Auto {
    level: &'static Level,
    model: OnceLock<(Arc<Firsts>, Model)>,
}

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) rule: Rule,
    pub(super) kind: ViolationKind,
    pub(super) evidence: String,
    /// Nobody promises it.
    pub(super) observed: bool,
}

/// What judging a tree gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    pub(super) broken: Vec<Broken>,
    /// Promises about names that were put to the test.
    pub(super) obligations: u32,
    pub(super) doubts: Vec<String>,
}

impl Auto {
    /// What judges this check, if it is judged automatically.
    pub(super) fn of(variant: &Variant, check: &Check) -> Option<Self> {
        let Check::Auto { level } = check else {
            return None;
        };
        let named = level.as_deref().and_then(Level::named);
        Some(Self {
            level: named.unwrap_or_else(|| variant.level()),
            model: OnceLock::new(),
        })
    }

    pub(super) fn level(&self) -> &'static Level {
        self.level
    }

    /// Judges a tree with what had happened until a cut.
    pub(super) fn judge(
        &self,
        variant: &Variant,
        history: &History,
        tree: &Tree<'_>,
        origins: &Origins,
    ) -> Judged {
        let build = || Model::of(variant, history.marks());
        let of_another;
        let (of, model) = self.model.get_or_init(|| (Arc::clone(history.firsts()), build()));
        let model = if Arc::ptr_eq(of, history.firsts()) {
            model
        } else {
            of_another = build();
            &of_another
        };
        let until = history.marks_until();
        if model.lost().is_some_and(|(since, _)| since <= until) {
            return Judged::default();
        }
        let look = Look {
            model,
            level: self.level,
            until,
            tree,
            origins,
            compared: Cell::new(0),
            names: OnceCell::new(),
        };
        look.judge()
    }
}

impl Judged {
    /// Adds what the checker said, if it was asked and the level promises that it finds nothing.
    pub(super) fn check(&mut self, level: &Level, said: Option<CheckOutcome>) {
        let Some(kept) = level.keeps(Rule::CheckerClean) else {
            return;
        };
        match said {
            Some(CheckOutcome::Broken(kind, what)) => self.broken.push(Broken {
                rule: kept.rule,
                kind,
                evidence: evidence::with_source(level, kept.rule, &what),
                observed: kept.source.is_empty(),
            }),
            Some(CheckOutcome::Doubt(doubt)) => self.doubts.push(doubt),
            Some(CheckOutcome::Holds | CheckOutcome::Idle) | None => {}
        }
    }
}

/// A look at one tree.
pub(super) struct Look<'a> {
    model: &'a Model,
    level: &'static Level,
    /// How many marks had happened.
    until: u32,
    tree: &'a Tree<'a>,
    origins: &'a Origins,
    compared: Cell<u32>,
    /// How many names each inode had, once that was asked.
    names: OnceCell<Vec<Option<Names>>>,
}

/// What is seen of one thing and of what is below it.
#[derive(Debug, Default)]
pub(super) struct Seen<'a> {
    broken: Vec<Broken>,
    /// Which inodes each name may be.
    found: Vec<Found<'a>>,
    obligations: u32,
}

impl Seen<'_> {
    fn add(&mut self, other: Self) {
        self.broken.extend(other.broken);
        self.found.extend(other.found);
        self.obligations += other.obligations;
    }
}

impl From<Broken> for Seen<'_> {
    fn from(broken: Broken) -> Self {
        Self {
            broken: vec![broken],
            ..Self::default()
        }
    }
}

impl Look<'_> {
    fn judge(&self) -> Judged {
        let mut judged = Judged::default();
        let Some(root) = self.tree.get(b"") else {
            return judged;
        };
        let mut seen = self.inode(root, Model::ROOT);
        // One cause gives one finding: what is not right under its name is not missing besides.
        let links = self.links(&seen.found);
        let sound = seen.broken.is_empty();
        let says_more = |broken: &Broken| sound || broken.kind != ViolationKind::Missing;
        seen.broken.extend(links.into_iter().filter(says_more));
        judged.obligations = seen.obligations;
        if self.compared.get() > MOST {
            judged
                .doubts
                .push("too many names may lead to too many directories".to_owned());
            judged.obligations = 0;
            return judged;
        }
        for broken in seen.broken {
            let rule = broken.rule;
            let known = judged
                .broken
                .iter()
                .any(|b: &Broken| (b.rule, b.kind) == (rule, broken.kind));
            if self.level.keeps(rule).is_some() && !known {
                judged.broken.push(Broken {
                    evidence: evidence::with_source(self.level, rule, &broken.evidence),
                    observed: self.level.keeps(rule).is_some_and(|kept| kept.source.is_empty()),
                    ..broken
                });
            }
        }
        judged
    }

    /// Whether a promise by this rule counts.
    fn holds(&self, rule: Rule) -> bool {
        self.level.keeps(rule).is_some()
    }

    fn name_of(&self, id: InodeId) -> String {
        let made = self.model.inode(id).made;
        match made.issued {
            0 => "what the setup made".to_owned(),
            _ => format!("what `{}` made", self.model.steps()[made.step]),
        }
    }
}
