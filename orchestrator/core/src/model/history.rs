//! The model of a recording: what the marks in its log say of its variant's steps.

use std::collections::HashMap;

use coldcut_wire::Op;

use super::versions::When;
use super::{Model, Unclear};
use crate::faults::Effect;
use crate::recording::mark::Mark;
use crate::scenario::{Action, DeviceAction, FsSource, Step, Variant, flatten};

/// How a step ended.
#[derive(Clone, Copy, Debug)]
enum Ended {
    Well,
    Badly(i32),
}

/// A step in the recording.
struct Told<'a> {
    step: &'a Step,
    when: When,
    ended: Ended,
}

impl Model {
    /// What a variant's steps made, by all marks of its recording in their order.
    pub fn of<'m>(variant: &Variant, marks: impl IntoIterator<Item = &'m Mark>) -> Self {
        let mut model = Self::new();
        let result = model.set_up(variant);
        model.keep(0, result);
        for told in model.tell(variant, marks) {
            if model.lost.is_some() {
                break;
            }
            let result = match told {
                Event::Step(told) => model.follow(&told),
                Event::Unmounted(when) => {
                    model.sync_all(when);
                    Ok(())
                }
            };
            if let Err((since, why)) = result {
                model.keep(since, Err(why));
            }
        }
        model
    }

    fn keep(&mut self, since: u32, result: Result<(), Unclear>) {
        if let (Err(why), None) = (result, &self.lost) {
            self.lost = Some((since, why));
        }
    }

    /// Follows the setup, and makes it durable.
    fn set_up(&mut self, variant: &Variant) -> Result<(), Unclear> {
        if matches!(variant.filesystem.source, FsSource::Image(_)) {
            return Err(Unclear("what an image holds is not known".to_owned()));
        }
        for step in flatten(&variant.setup) {
            let (Action::Op(_) | Action::Mark | Action::Join { .. }) = &step.action else {
                return Err(Unclear(format!(
                    "what `{}` of the setup does is not known",
                    step.name.name
                )));
            };
            let Some(op) = step.op() else { continue };
            match step.expected_errno {
                Some(errno) => self.fail(op, errno, Self::BEFORE)?,
                None if step.any_errno && op.may_change_files() => {
                    return Err(Unclear("how a step of the setup ended is not known".to_owned()));
                }
                None => self.apply(op, Self::BEFORE)?,
            }
        }
        self.seal();
        Ok(())
    }

    /// Every step that had begun, in the order in which they ended; those that never did are last.
    fn tell<'a, 'm>(
        &mut self,
        variant: &'a Variant,
        marks: impl IntoIterator<Item = &'m Mark>,
    ) -> Vec<Event<'a>> {
        let steps: HashMap<&str, &Step> = variant
            .steps()
            .map(|step| (step.name.name.as_str(), step))
            .collect();
        let mut running: Vec<(&Step, When)> = Vec::new();
        let mut events = Vec::new();
        for (mark, number) in marks.into_iter().zip(1_u32..) {
            let (name, ended) = match mark {
                Mark::Begin(name) => {
                    if let Some(step) = steps.get(name.name.as_str()) {
                        let when = When {
                            step: self.steps.len(),
                            issued: number,
                            done: When::NEVER,
                        };
                        self.steps.push(name.name.clone());
                        running.push((step, when));
                    }
                    continue;
                }
                Mark::Done(name) => (name, Ended::Well),
                Mark::Failed(name, errno) => (name, Ended::Badly(*errno)),
                Mark::Other(text) if text == "unmounted" => {
                    let when = When {
                        step: self.steps.len(),
                        issued: number,
                        done: number,
                    };
                    self.steps.push(text.clone());
                    events.push(Event::Unmounted(when));
                    continue;
                }
                Mark::Line { .. } | Mark::End | Mark::Other(_) => continue,
            };
            let Some(at) = running.iter().position(|(step, _)| step.name.name == name.name) else {
                continue;
            };
            let (step, mut when) = running.remove(at);
            when.done = number;
            events.push(Event::Step(Told { step, when, ended }));
        }
        let never = |(step, when)| {
            let ended = Ended::Well;
            Event::Step(Told { step, when, ended })
        };
        events.extend(running.into_iter().map(never));
        events
    }

    /// Follows a step; where that cannot be done, says since when.
    fn follow(&mut self, told: &Told<'_>) -> Result<(), (u32, Unclear)> {
        let since = told.when.issued;
        let unknown = |what: &str| Err((since, Unclear(what.to_owned())));
        match &told.step.action {
            Action::Op(op) => self.carry_out(op, told).map_err(|why| (since, why)),
            Action::Exec { .. } => unknown("what a program does is not known"),
            Action::Device(DeviceAction::Arm { fault, .. }) if fault.effect == Effect::Fail => {
                unknown("the disk was told to fail requests")
            }
            Action::Device(DeviceAction::Release { fail: true, .. }) => {
                unknown("the disk was told to fail requests")
            }
            Action::Mark
            | Action::Start(_)
            | Action::Join { .. }
            | Action::Leave { .. }
            | Action::Device(_) => Ok(()),
        }
    }

    fn carry_out(&mut self, op: &Op, told: &Told<'_>) -> Result<(), Unclear> {
        match told.ended {
            Ended::Well => self.apply(op, told.when),
            Ended::Badly(errno) => self.fail(op, errno, told.when),
        }
    }
}

enum Event<'a> {
    Step(Told<'a>),
    Unmounted(When),
}
