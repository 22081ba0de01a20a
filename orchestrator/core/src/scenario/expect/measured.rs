//! Lowers checks of what is measured, against what the steps measure.

use coldcut_wire::PatternName;

use super::contents::Contents;
use super::entry::ExpectEntry;
use super::measured_shape::{LimitShape, LoggedShape, ReturnedShape, ShowsShape};
use super::problem::{Lowered, needs};
use super::shape::ExpectShape;
use crate::outcome::verdict::ViolationKind;
use crate::scenario::catalogue::items;
use crate::scenario::facts::{self, Reads};
use crate::scenario::measured::{Bound, Limit, MeasuredCheck, Metric, Unit, Versions, Yield};
use crate::scenario::model::{Step, Variant};
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::Problem;
use crate::scenario::yaml::names::Label;

/// What each labelled step yields.
type Yields = Vec<(String, Vec<(String, Yield)>)>;

/// Lowers a check of what is measured; `None` when the entry is of another kind.
pub(crate) fn check(
    variant: &Variant,
    contents: &Contents<'_>,
    entry: &ExpectEntry,
) -> Lowered<Option<MeasuredCheck>> {
    let labelled = variant.steps().filter(|step| step.labelled);
    let yields: Yields = labelled
        .map(|step| (step.name.name.clone(), items(&step.action)))
        .collect();
    let lowering = Lowering {
        variant,
        contents,
        entry,
        yields,
    };
    let check = match &entry.shape {
        ExpectShape::Measure(d) => {
            let (metric, bound) =
                lowering.arm(&d.of, [d.is.as_ref(), d.at_least.as_ref(), d.at_most.as_ref()])?;
            let kind = d.kind.unwrap_or(ViolationKind::Measure);
            MeasuredCheck::Measure { metric, bound, kind }
        }
        ExpectShape::Assume(d) => {
            let (metric, bound) =
                lowering.arm(&d.of, [d.is.as_ref(), d.at_least.as_ref(), d.at_most.as_ref()])?;
            MeasuredCheck::Assume { metric, bound }
        }
        ExpectShape::Contrast(d) => {
            let [hazard, control] = [&d.hazard, &d.control].map(|arm| {
                let bound = [arm.is.as_ref(), arm.at_least.as_ref(), arm.at_most.as_ref()];
                lowering.arm(&arm.of, bound)
            });
            let (hazard, control) = (hazard?, control?);
            if hazard.1.unit != control.1.unit {
                return Err(Problem::new(&d.control.of.span, "the two arms measure different things").into());
            }
            if hazard.0 == control.0 {
                return Err(Problem::new(&d.control.of.span, "both arms are the same number").into());
            }
            let kind = d.kind.unwrap_or(ViolationKind::Stall);
            MeasuredCheck::Contrast {
                hazard,
                control,
                kind,
            }
        }
        ExpectShape::Returned(d) => lowering.returned(d)?,
        ExpectShape::Shows(d) => lowering.shows(d)?,
        ExpectShape::Logged(d) => lowering.logged(d)?,
        _ => return Ok(None),
    };
    if let Some(after) = &entry.after {
        return Err(Problem::new(&after.span, "a live check is judged once, whatever happened when").into());
    }
    if let Some(before) = &entry.before {
        return Err(Problem::new(
            &before.span,
            "a live check is judged once, whatever happened when",
        )
        .into());
    }
    Ok(Some(check))
}

struct Lowering<'a> {
    variant: &'a Variant,
    contents: &'a Contents<'a>,
    entry: &'a ExpectEntry,
    yields: Yields,
}

impl Lowering<'_> {
    fn metric(&self, text: &At<String>) -> Lowered<(Metric, Unit)> {
        Metric::parse(&text.value, &self.yields).map_err(|error| {
            let problem = Problem::new(&text.span, error.message);
            if error.valid.is_empty() {
                return problem.help("give the step that measures a label").into();
            }
            problem
                .nearest(&text.value, error.valid.iter().map(String::as_str))
                .into()
        })
    }

    fn arm(&self, of: &At<String>, bound: [Option<&At<LimitShape>>; 3]) -> Lowered<(Metric, Bound)> {
        let (metric, unit) = self.metric(of)?;
        let [is, at_least, at_most] = bound;
        if is.is_some() == (at_least.is_some() || at_most.is_some()) {
            return Err(needs(self.entry, "`is`, or `at_least` and `at_most`"));
        }
        let limit = |doc: Option<&At<LimitShape>>| doc.map(|doc| self.limit(doc, unit)).transpose();
        let bound = Bound {
            is: limit(is)?,
            at_least: limit(at_least)?,
            at_most: limit(at_most)?,
            unit: Some(unit),
        };
        Ok((metric, bound))
    }

    fn limit(&self, doc: &At<LimitShape>, unit: Unit) -> Lowered<Limit> {
        match (&doc.value.limit, &doc.value.of, &doc.value.times) {
            (Some(text), None, None) => unit
                .parse(&text.value)
                .map(Limit::Value)
                .map_err(|error| Problem::new(&text.span, error).into()),
            (None, Some(of), times) => {
                let (metric, other) = self.metric(of)?;
                if other != unit {
                    return Err(Problem::new(&of.span, "this measures something else").into());
                }
                let thousandths = times.as_ref().map_or(1000, |t| t.value.0);
                Ok(Limit::Times { metric, thousandths })
            }
            _ => Err(Problem::new(&doc.span, "expected a value, or `{of: STEP.WHAT, times: 2}`").into()),
        }
    }

    /// Finds the labelled step, and checks that it yields an item of this name and kind.
    fn step(&self, label: &At<Label>, what: &str, kind: Yield) -> Lowered<String> {
        let name = &label.value.0;
        let has = |(_, items): &&(String, Vec<(String, Yield)>)| {
            items.iter().any(|(item, s)| item == what && *s == kind)
        };
        if self.yields.iter().filter(has).any(|(known, _)| known == name) {
            return Ok(name.clone());
        }
        let fitting = self.yields.iter().filter(has).map(|(known, _)| known.as_str());
        let problem = Problem::new(&label.span, format!("no step labelled `{name}` yields `{what}`"));
        if fitting.clone().next().is_none() {
            return Err(problem.help("give the step that does a label").into());
        }
        Err(problem.nearest(name, fitting).into())
    }

    fn returned(&self, doc: &ReturnedShape) -> Lowered<MeasuredCheck> {
        let step = self.step(&doc.step, "data", Yield::Data)?;
        let named = self.variant.steps().find(|s| s.name.name == step);
        let Some(Reads {
            offset: start, len, ..
        }) = named.and_then(Step::op).and_then(facts::reads)
        else {
            return Err(Problem::new(&doc.step.span, "this step reads nothing").into());
        };
        let range = match (&doc.offset, &doc.len) {
            (None, None) => (start, len),
            (from, part) => {
                let from = from.as_ref().map_or(start, |o| o.value.0);
                let rest = start.saturating_add(len).saturating_sub(from);
                (from, part.as_ref().map_or(rest, |l| l.value.0))
            }
        };
        let inside = range.0 >= start && range.0.saturating_add(range.1) <= start.saturating_add(len);
        if !inside || range.1 == 0 {
            let message = format!("the step reads {start}..{} only", start + len);
            return Err(Problem::new(&doc.step.span, message).into());
        }
        let wanted = |list: &At<Vec<At<_>>>| -> Lowered<Vec<Option<PatternName>>> {
            list.value.iter().map(|w| self.contents.wanted(w)).collect()
        };
        let accept = match (&doc.is, &doc.one_of, &doc.mix_of) {
            (Some(is), None, None) => Versions::OneOf(vec![self.contents.wanted(is)?]),
            (None, Some(list), None) if !list.value.is_empty() => Versions::OneOf(wanted(list)?),
            (None, None, Some(list)) if !list.value.is_empty() => Versions::MixOf(wanted(list)?),
            _ => return Err(needs(self.entry, "one of `is`, `one_of` and `mix_of`")),
        };
        Ok(MeasuredCheck::Returned {
            step,
            range,
            accept,
            kind: doc.kind,
        })
    }

    fn texts(
        &self,
        any_of: Option<&At<Vec<String>>>,
        none_of: Option<&At<Vec<String>>>,
    ) -> Lowered<(Vec<String>, Vec<String>)> {
        for list in [any_of, none_of].into_iter().flatten() {
            if list.value.is_empty() || list.value.iter().any(String::is_empty) {
                return Err(Problem::new(&list.span, "expected texts, none of them empty").into());
            }
        }
        if any_of.is_none() && none_of.is_none() {
            return Err(needs(self.entry, "`any_of` or `none_of`"));
        }
        let list = |l: Option<&At<Vec<String>>>| l.map(|l| l.value.clone()).unwrap_or_default();
        Ok((list(any_of), list(none_of)))
    }

    fn shows(&self, doc: &ShowsShape) -> Lowered<MeasuredCheck> {
        let step = self.step(&doc.step, &doc.text.value, Yield::Text)?;
        let (any_of, none_of) = self.texts(doc.any_of.as_ref(), doc.none_of.as_ref())?;
        Ok(MeasuredCheck::Shows {
            step,
            text: doc.text.value.clone(),
            any_of,
            none_of,
            kind: doc.kind.unwrap_or(ViolationKind::Measure),
        })
    }

    fn logged(&self, doc: &LoggedShape) -> Lowered<MeasuredCheck> {
        let (any_of, none_of) = self.texts(doc.any_of.as_ref(), doc.none_of.as_ref())?;
        Ok(MeasuredCheck::Logged {
            any_of,
            none_of,
            kind: doc.kind.unwrap_or(ViolationKind::Dmesg),
        })
    }
}
