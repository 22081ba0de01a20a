//! The device's part of a scenario: its speed, and the steps that hold, fail and release requests.

use std::collections::BTreeMap;

use coldcut_wire::{PatternName, pattern};

use super::device_doc::{DeviceDoc, FailDoc, HoldDoc, ReleaseDoc, SetDeviceDoc, WaitHeldDoc};
use super::model::{Action, DeviceAction, DeviceSpec};
use super::step_entry::StepEntry;
use super::steps::{Lowering, bounded};
use super::yaml::at::At;
use super::yaml::error::{Problem, Sink, Span, line_of};
use super::yaml::names::Label;
use super::yaml::units::{Count, Millis, Rate, Size};
use crate::faults::{Effect, Filter, Kind, Rule, Whose};

/// How long a request stays held unless the scenario says otherwise.
const HELD_MS: u64 = 60_000;
/// How long `wait_held` waits unless it says otherwise.
const WAIT_MS: u64 = 30_000;
/// Longest latency: more would only time out.
const MAX_LATENCY_MS: u64 = 10_000;

type Lowered<T> = Result<T, Box<Problem>>;

/// The rules of one sequence of steps, and what they are about.
#[derive(Debug, Default)]
pub(super) struct Rules {
    armed: BTreeMap<String, Armed>,
    /// Data that rules are about; whether any step writes it is known when all were read.
    about: Vec<(Whose, Span)>,
}

#[derive(Debug)]
struct Armed {
    span: Span,
    effect: Effect,
    released: bool,
}

impl Rules {
    /// Complains about rules for data that nobody writes.
    pub(super) fn check_data(&self, contents: &[PatternName], sink: &Sink) {
        for (whose, span) in &self.about {
            if contents.iter().any(|content| whose.means(content)) {
                continue;
            }
            let (name, known): (&str, Vec<String>) = match whose {
                Whose::Content(wanted) => (
                    &pattern::label(wanted),
                    contents.iter().map(pattern::label).collect(),
                ),
                Whose::File(file) => (file, contents.iter().map(|c| c.file.clone()).collect()),
            };
            let problem = Problem::new(span, format!("no step writes data of `{name}`"));
            sink.push(problem.nearest(name, known.iter().map(String::as_str)));
        }
    }

    fn get(&self, name: &At<Label>) -> Lowered<&Armed> {
        let text = &name.value.0;
        match self.armed.get(text) {
            Some(armed) if !armed.released => Ok(armed),
            Some(_) => Err(Problem::new(&name.span, format!("`{text}` was released already")).into()),
            None => {
                let problem = Problem::new(
                    &name.span,
                    format!("no `hold` or `fail` named `{text}` comes before"),
                );
                Err(problem
                    .nearest(text, self.armed.keys().map(String::as_str))
                    .into())
            }
        }
    }
}

/// The parts of a rule as a `hold` or a `fail` has them.
struct RuleDoc<'a> {
    name: &'a At<Label>,
    kind: Option<Kind>,
    of: Option<&'a At<String>>,
    offset: Option<&'a At<Size>>,
    len: Option<&'a At<Size>>,
    count: Option<&'a At<Count>>,
}

impl Lowering<'_> {
    fn device_step(&self, entry: &StepEntry) -> Lowered<()> {
        let key = &entry.key;
        if let Some(errno) = &entry.errno {
            let message = format!("`{}` makes no system call that could fail", key.value);
            return Err(Problem::new(&errno.span, message).into());
        }
        if !self.recorded {
            let message = format!(
                "`{}` belongs into `workload`: the setup runs undisturbed",
                key.value
            );
            return Err(Problem::new(&key.span, message).into());
        }
        Ok(())
    }

    pub(super) fn hold(&mut self, doc: &HoldDoc, entry: &StepEntry) -> Lowered<Action> {
        self.device_step(entry)?;
        let within_ms = doc.within.as_ref().map_or(Ok(HELD_MS), bounded)?;
        let rule = self.rule(
            &RuleDoc {
                name: &doc.name,
                kind: doc.kind,
                of: doc.of.as_ref(),
                offset: doc.offset.as_ref(),
                len: doc.len.as_ref(),
                count: doc.count.as_ref(),
            },
            Effect::Hold,
        )?;
        Ok(Action::Device(DeviceAction::Arm {
            rule,
            within_ms: Some(within_ms),
        }))
    }

    pub(super) fn fail(&mut self, doc: &FailDoc, entry: &StepEntry) -> Lowered<Action> {
        self.device_step(entry)?;
        let rule = self.rule(
            &RuleDoc {
                name: &doc.name,
                kind: doc.kind,
                of: doc.of.as_ref(),
                offset: doc.offset.as_ref(),
                len: doc.len.as_ref(),
                count: doc.count.as_ref(),
            },
            Effect::Fail,
        )?;
        Ok(Action::Device(DeviceAction::Arm {
            rule,
            within_ms: None,
        }))
    }

    fn rule(&mut self, doc: &RuleDoc<'_>, effect: Effect) -> Lowered<Rule> {
        let name = &doc.name.value.0;
        if let Some(first) = self.rules.armed.get(name) {
            let line = line_of(self.text, first.span.start);
            return Err(
                Problem::new(&doc.name.span, format!("the name `{name}` is used twice"))
                    .label(format!("first used in line {line}"))
                    .into(),
            );
        }
        let kind = doc.kind.unwrap_or(Kind::Write);
        let whose = match doc.of {
            None => None,
            Some(of) if !matches!(kind, Kind::Write | Kind::Read) => {
                return Err(Problem::new(&of.span, "only writes and reads carry data").into());
            }
            Some(of) => Some(whose(of)?),
        };
        if let (Some(place), Kind::Flush) = (doc.offset.or(doc.len), kind) {
            return Err(Problem::new(&place.span, "a flush has no place on the disk").into());
        }
        let range = match (doc.offset, doc.len) {
            (None, None) => None,
            (offset, len) => {
                let start = offset.map_or(0, |o| o.value.0);
                let len = len.map_or(u64::MAX, |l| l.value.0);
                if len == 0 {
                    return Err(
                        Problem::new(&doc.name.span, "an empty range is touched by no request").into(),
                    );
                }
                Some(start..start.saturating_add(len))
            }
        };
        let count = match doc.count {
            None => Some(1),
            Some(count) if count.value.0 == Some(0) => {
                return Err(Problem::new(&count.span, "expected a number of at least 1, or `all`").into());
            }
            Some(count) => count.value.0,
        };
        if let (Some(whose), Some(of)) = (&whose, doc.of) {
            self.rules.about.push((whose.clone(), of.span.clone()));
        }
        let armed = Armed {
            span: doc.name.span.clone(),
            effect,
            released: false,
        };
        self.rules.armed.insert(name.clone(), armed);
        Ok(Rule {
            name: name.clone(),
            filter: Filter { kind, whose, range },
            effect,
            count,
        })
    }

    pub(super) fn wait_held(&mut self, doc: &WaitHeldDoc, entry: &StepEntry) -> Lowered<Action> {
        self.device_step(entry)?;
        if self.rules.get(&doc.name)?.effect != Effect::Hold {
            let message = format!("`{}` fails requests and holds none", doc.name.value.0);
            return Err(Problem::new(&doc.name.span, message).into());
        }
        let count = match &doc.count {
            None => 1,
            Some(count) if count.value == 0 => {
                return Err(Problem::new(&count.span, "expected a number of at least 1").into());
            }
            Some(count) => count.value,
        };
        Ok(Action::Device(DeviceAction::WaitHeld {
            name: doc.name.value.0.clone(),
            count,
            within_ms: doc.within.as_ref().map_or(Ok(WAIT_MS), bounded)?,
        }))
    }

    pub(super) fn release(&mut self, doc: &ReleaseDoc, entry: &StepEntry) -> Lowered<Action> {
        self.device_step(entry)?;
        let armed = self.rules.get(&doc.name)?;
        if doc.fail && armed.effect == Effect::Fail {
            let message = format!("`{}` holds nothing that could fail now", doc.name.value.0);
            return Err(Problem::new(&doc.name.span, message).into());
        }
        if let Some(armed) = self.rules.armed.get_mut(&doc.name.value.0) {
            armed.released = true;
        }
        Ok(Action::Device(DeviceAction::Release {
            name: doc.name.value.0.clone(),
            fail: doc.fail,
        }))
    }

    pub(super) fn set_device(&mut self, doc: &SetDeviceDoc, entry: &StepEntry) -> Lowered<Action> {
        self.device_step(entry)?;
        if doc.bandwidth.is_none() && doc.latency.is_none() {
            let message = "`set_device` needs `bandwidth` or `latency`";
            return Err(Problem::new(&entry.key.span, message).into());
        }
        Ok(Action::Device(DeviceAction::Set {
            bandwidth: doc.bandwidth.as_ref().map(rate).transpose()?,
            latency_ms: doc.latency.as_ref().map(latency).transpose()?,
        }))
    }
}

fn whose(of: &At<String>) -> Lowered<Whose> {
    let text = &of.value;
    match text.rsplit_once('@') {
        None if text.is_empty() => {
            let message = "expected a content such as `victim@1`, or a file such as `victim`";
            Err(Problem::new(&of.span, message).into())
        }
        None => Ok(Whose::File(text.clone())),
        Some((file, generation)) if !file.is_empty() && !generation.is_empty() => {
            Ok(Whose::Content(PatternName {
                file: file.to_owned(),
                generation: generation.to_owned(),
            }))
        }
        Some(_) => {
            let message =
                format!("expected a content such as `victim@1`, or a file such as `victim`, found `{text}`");
            Err(Problem::new(&of.span, message).into())
        }
    }
}

fn rate(rate: &At<Rate>) -> Lowered<Option<u64>> {
    match rate.value.0 {
        Some(0) => Err(Problem::new(&rate.span, "a device that moves nothing would only time out").into()),
        rate => Ok(rate),
    }
}

fn latency(latency: &At<Millis>) -> Lowered<u64> {
    if latency.value.0 > MAX_LATENCY_MS {
        return Err(Problem::new(&latency.span, "at most 10s").into());
    }
    Ok(latency.value.0)
}

/// `over`'s keys in place of `base`'s, checked.
pub(super) fn device(base: Option<&DeviceDoc>, over: Option<&DeviceDoc>, sink: &Sink) -> DeviceSpec {
    let key = |pick: fn(&DeviceDoc) -> Option<At<Rate>>| over.and_then(pick).or_else(|| base.and_then(pick));
    let bandwidth = key(|d| d.bandwidth.clone());
    let slow = over
        .and_then(|d| d.latency.clone())
        .or_else(|| base.and_then(|d| d.latency.clone()));
    let write_cache = over
        .and_then(|d| d.write_cache)
        .or_else(|| base.and_then(|d| d.write_cache));
    let mut note = |problem: Box<Problem>| sink.push(*problem);
    DeviceSpec {
        bandwidth: bandwidth
            .map_or(Ok(None), |r| rate(&r))
            .map_err(&mut note)
            .unwrap_or_default(),
        latency_ms: slow
            .map_or(Ok(0), |l| latency(&l))
            .map_err(&mut note)
            .unwrap_or_default(),
        write_cache: write_cache.unwrap_or(true),
    }
}
