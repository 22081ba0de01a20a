//! Every operation with its facts, as a table to be read: `snapshots/`. A new step or operation fails the test until
//! `examples.yaml` has it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use coldcut_wire::Op;

use super::{Data, Handles, Names, Promise};
use crate::scenario::step::step_names;
use crate::scenario::yaml::entry::variants;
use crate::scenario::{Scenario, Step, errno_name, flatten};

const EXAMPLES: &str = include_str!("examples.yaml");

fn steps() -> Vec<Step> {
    let scenario = Scenario::parse("examples.yaml", EXAMPLES).unwrap_or_else(|e| panic!("{e}"));
    flatten(&scenario.variants()[0].workload).cloned().collect()
}

/// The line of the text that a step comes from.
fn line(step: &Step) -> &'static str {
    let at = usize::try_from(step.line).expect("few lines") - 1;
    EXAMPLES.lines().nth(at).expect("it is there").trim()
}

fn name(op: &Op) -> String {
    let text = format!("{op:?}");
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Every fact that is not the same for most operations.
fn facts(op: &Op) -> String {
    let mut out = format!("    {op:?}\n");
    let mut add = |what: &str, fact: String| writeln!(out, "      {what}: {fact}").expect("to a string");
    let data = super::data(op);
    if data != Data::Untouched {
        add("data", format!("{data:?}"));
    }
    let names = super::names(op);
    if names != Names::Untouched {
        add("names", format!("{names:?}"));
    }
    let handles = super::handles(op);
    if handles != Handles::Untouched {
        add("handles", format!("{handles:?}"));
    }
    let promise = super::promise(op);
    if promise != Promise::Nothing {
        add("promise", format!("{promise:?}"));
    }
    let measures = super::measures(op);
    if !measures.is_empty() {
        add("measures", format!("{measures:?}"));
    }
    if let Some(label) = super::measured_as(op) {
        add("measures for", label.to_owned());
    }
    if super::known_patterns(&mut op.clone()).is_some() {
        add("knows", "the patterns that may be written".to_owned());
    }
    if super::waits_for_commit(op) {
        add("waits for", "a commit".to_owned());
    }
    if op.patience_ms() > 0 {
        add("patience", format!("{} ms", op.patience_ms()));
    }
    if !op.may_change_files() {
        add("files", "unchanged".to_owned());
    }
    let refusals = (1..=133).filter(|errno| super::unsupported(op, *errno));
    let refusals: Vec<&str> = refusals.filter_map(errno_name).collect();
    if !refusals.is_empty() {
        add("not supported", refusals.join(", "));
    }
    out
}

#[test]
fn every_operation_has_its_facts() {
    let mut table = String::new();
    for step in steps() {
        writeln!(table, "{}", line(&step)).expect("to a string");
        match step.op() {
            Some(op) => table.push_str(&facts(op)),
            None => writeln!(table, "    {:?}", step.action).expect("to a string"),
        }
    }
    table.push_str("(no step: the recorder asks for it)\n");
    table.push_str(&facts(&Op::WatchJournal));
    insta::assert_snapshot!("facts", table);
}

#[test]
fn every_step_has_an_example() {
    let steps = steps();
    let key = |step| line(step).trim_start_matches("- ").split(':').next();
    let seen: BTreeSet<&str> = steps.iter().filter_map(key).collect();
    assert_eq!(seen, step_names().iter().copied().collect());
}

#[test]
fn every_operation_has_an_example() {
    let steps = steps();
    let mut seen: BTreeSet<String> = steps.iter().filter_map(Step::op).map(name).collect();
    // No step asks for it.
    assert!(seen.insert(name(&Op::WatchJournal)));
    let all = variants::<Op>().iter().map(|name| (*name).to_owned());
    assert_eq!(seen, all.collect());
}
