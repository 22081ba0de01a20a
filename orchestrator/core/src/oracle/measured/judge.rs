//! Compares measurements with what was promised.

use std::collections::BTreeSet;

use coldcut_wire::{EntryKind, Extent, PatternName, TreeEntry, pattern};

use super::measurements::Measurements;
use crate::oracle::data::{describe, distance, printable};
use crate::oracle::origin::Origins;
use crate::outcome::verdict::{Finding, Judgement, ViolationKind};
use crate::scenario::measured::{Bound, Limit, MeasuredCheck, Metric, Versions};
use crate::scenario::{Check, Variant};

/// What judging a run's measurements gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// For the tally.
    pub judgement: Judgement,
    /// What was measured: one line a check, held or not.
    pub lines: Vec<String>,
    /// Assumptions that did not hold: then the scenario did not take place, and nothing that was found counts.
    pub unmet: Vec<String>,
}

/// What one check gave, and what was seen.
enum Compared {
    Holds(String),
    Broken(ViolationKind, String),
    Unknown(String),
}

/// Judges all live checks of a variant.
pub fn judge(variant: &Variant, measurements: &Measurements) -> Judged {
    let origins = Origins::new(variant);
    let mut judged = Judged::default();
    for (index, expectation) in variant.expect.iter().enumerate() {
        let Check::Measured(check) = &expectation.check else {
            continue;
        };
        let judgement = &mut judged.judgement;
        if let MeasuredCheck::Assume { metric, bound } = check {
            match compare(metric, bound, measurements) {
                Ok((true, value)) => judged.lines.push(format!(
                    "{metric} is {value} ({}), as assumed",
                    told(bound, measurements)
                )),
                Ok((false, value)) => judged.unmet.push(format!(
                    "line {}: {metric} is {value}, and was assumed to be {}",
                    expectation.line,
                    told(bound, measurements)
                )),
                Err(why) => judged.unmet.push(format!("line {}: {why}", expectation.line)),
            }
            continue;
        }
        match check_one(check, measurements, &origins) {
            Compared::Unknown(why) => {
                judgement.doubts.push(format!("line {}: {why}", expectation.line));
                continue;
            }
            Compared::Holds(seen) => judged.lines.push(seen),
            Compared::Broken(kind, seen) => {
                judged.lines.push(seen.clone());
                judgement.findings.push(Finding {
                    kind,
                    expectation: Some(index),
                    rule: None,
                    evidence: seen,
                });
            }
        }
        judgement.judged.push(index);
        judgement.obligations += 1;
    }
    let unmet = judged.unmet.iter().map(|why| format!("not as assumed: {why}"));
    judged.judgement.doubts.extend(unmet);
    let judges = variant.expect.iter().any(|e| e.check.is_measured());
    judged
        .judgement
        .doubts
        .extend(measurements.clock.clone().filter(|_| judges));
    judged
}

fn check_one(check: &MeasuredCheck, found: &Measurements, origins: &Origins) -> Compared {
    match check {
        MeasuredCheck::Measure { metric, bound, kind } => match compare(metric, bound, found) {
            Err(why) => Compared::Unknown(why),
            Ok((true, value)) => Compared::Holds(format!("{metric} is {value} ({})", told(bound, found))),
            Ok((false, value)) => {
                let bound = told(bound, found);
                Compared::Broken(*kind, format!("{metric} is {value}, expected {bound}"))
            }
        },
        // Judged apart.
        MeasuredCheck::Assume { .. } => Compared::Unknown("an assumption is no promise".to_owned()),
        MeasuredCheck::Contrast {
            hazard,
            control,
            kind,
        } => contrast(hazard, control, *kind, found),
        MeasuredCheck::Returned {
            step,
            range,
            accept,
            kind,
        } => returned(step, *range, accept, *kind, found, origins),
        MeasuredCheck::Shows {
            step,
            text,
            any_of,
            none_of,
            kind,
        } => match found.steps.get(step).and_then(|f| f.texts.get(text)) {
            None => Compared::Unknown(format!("{step}.{text} was not seen")),
            Some(lines) => search(&format!("{step}.{text}"), lines.iter(), any_of, none_of, *kind),
        },
        MeasuredCheck::Logged {
            any_of,
            none_of,
            kind,
        } => match &found.dmesg {
            None => Compared::Unknown("the kernel's log could not be read".to_owned()),
            Some(lines) => {
                let lines = lines.iter().map(|line| &line.text);
                search("the kernel's log", lines, any_of, none_of, *kind)
            }
        },
    }
}

/// Whether a number lies within a bound, and the number as people read it.
fn compare(metric: &Metric, bound: &Bound, found: &Measurements) -> Result<(bool, String), String> {
    let measured = |m: &Metric| found.value(m).ok_or_else(|| format!("{m} was not measured"));
    let value = measured(metric)?;
    let mut holds = true;
    for (word, limit) in bound.parts() {
        let (left, right) = match limit {
            Limit::Value(limit) => (i128::from(value), i128::from(*limit)),
            Limit::Times { metric, thousandths } => (
                i128::from(value) * 1000,
                i128::from(measured(metric)?) * i128::from(*thousandths),
            ),
        };
        holds &= match word {
            "" => left == right,
            "at least " => left >= right,
            _ => left <= right,
        };
    }
    Ok((holds, bound.show(value)))
}

/// A bound in words, with the numbers that it was compared with.
fn told(bound: &Bound, found: &Measurements) -> String {
    let part = |(word, limit): (&str, &Limit)| match limit {
        Limit::Value(value) => format!("{word}{}", bound.show(*value)),
        Limit::Times { metric, thousandths } => {
            let value = found
                .value(metric)
                .map_or("unknown".to_owned(), |v| bound.show(v));
            format!(
                "{word}{} times {metric}, which is {value}",
                *thousandths as f64 / 1000.0
            )
        }
    };
    bound.parts().map(part).collect::<Vec<_>>().join(" and ")
}

fn contrast(
    (hazard, shows): &(Metric, Bound),
    (control, quiet): &(Metric, Bound),
    kind: ViolationKind,
    found: &Measurements,
) -> Compared {
    let both = (|| {
        Ok::<_, String>((
            compare(hazard, shows, found)?,
            compare(hazard, quiet, found)?,
            compare(control, quiet, found)?,
        ))
    })();
    let (shows, quiet) = (told(shows, found), told(quiet, found));
    match both {
        Err(why) => Compared::Unknown(why),
        Ok((_, (_, value), (false, other))) => Compared::Unknown(format!(
            "the control does not hold, so the contrast proves nothing: {control} is {other}, expected {quiet} ({hazard} is {value})"
        )),
        Ok(((true, value), _, (true, other))) => Compared::Broken(
            kind,
            format!("{hazard} is {value} ({shows}), and {control} is {other} ({quiet})"),
        ),
        Ok(((false, value), (true, _), (true, other))) => Compared::Holds(format!(
            "{hazard} is {value} and {control} is {other}: both {quiet}"
        )),
        Ok(((false, value), (false, _), (true, other))) => Compared::Unknown(format!(
            "{hazard} is {value}, neither {shows} nor {quiet} ({control} is {other})"
        )),
    }
}

fn search<'a>(
    what: &str,
    lines: impl Iterator<Item = &'a String> + Clone,
    any_of: &[String],
    none_of: &[String],
    kind: ViolationKind,
) -> Compared {
    let line_with = |word: &String| lines.clone().find(|line| line.contains(word.as_str()));
    if let Some(line) = none_of.iter().find_map(line_with) {
        return Compared::Broken(kind, format!("{what} has: {}", printable(line.as_bytes())));
    }
    let hit = any_of
        .iter()
        .find_map(|word| line_with(word).map(|line| (word, line)));
    match hit {
        Some((_, line)) => Compared::Holds(format!("{what} has: {}", printable(line.as_bytes()))),
        None if any_of.is_empty() => Compared::Holds(format!("{what} has none of: {}", none_of.join(", "))),
        None => {
            let seen: Vec<String> = lines.take(6).map(|line| printable(line.as_bytes())).collect();
            let seen = if seen.is_empty() {
                "nothing".to_owned()
            } else {
                seen.join(" / ")
            };
            Compared::Broken(
                kind,
                format!("{what} has none of {}; it has: {seen}", any_of.join(", ")),
            )
        }
    }
}

fn returned(
    step: &str,
    (offset, len): (u64, u64),
    accept: &Versions,
    kind: Option<ViolationKind>,
    found: &Measurements,
    origins: &Origins,
) -> Compared {
    let rounds = found
        .steps
        .get(step)
        .map(|f| f.data.as_slice())
        .unwrap_or_default();
    if rounds.is_empty() {
        return Compared::Unknown(format!("`{step}` returned nothing that could be judged"));
    }
    let (contents, ways): (&[Option<PatternName>], Vec<Vec<Option<&PatternName>>>) = match accept {
        Versions::OneOf(list) => (list, list.iter().map(|c| vec![c.as_ref()]).collect()),
        Versions::MixOf(list) => (list, vec![list.iter().map(Option::as_ref).collect()]),
    };
    let names: Vec<String> = contents
        .iter()
        .map(|c| c.as_ref().map_or_else(|| "zeros".to_owned(), pattern::label))
        .collect();
    let own: BTreeSet<String> = contents.iter().flatten().map(|c| c.file.clone()).collect();
    let mut last = String::new();
    for (round, extents) in rounds {
        let Some(entry) = entry_of(extents) else {
            return Compared::Unknown(format!("what `{step}` returned in round {round} has holes"));
        };
        let range = offset..offset.saturating_add(len);
        let distances = ways
            .iter()
            .map(|way| distance(&entry, &range, false, way, &own, origins));
        let Some(nearest) = distances.min_by_key(|d| d.bytes) else {
            return Compared::Unknown("nothing is accepted".to_owned());
        };
        last = describe(&entry, origins);
        if nearest.bytes > 0 {
            let kind = kind.unwrap_or_else(|| match nearest.kind() {
                ViolationKind::Content => ViolationKind::StaleRead,
                kind => kind,
            });
            let when = if *round > 0 {
                format!(" in round {round}")
            } else {
                String::new()
            };
            let wanted = names.join(if matches!(accept, Versions::OneOf(_)) {
                " or "
            } else {
                " and "
            });
            return Compared::Broken(kind, format!("`{step}` returned {last}{when}, expected {wanted}"));
        }
    }
    Compared::Holds(format!("`{step}` returned {last}"))
}

/// What was read, as a file that ends where the reading did; `None` when its extents do not follow one another.
fn entry_of(extents: &[Extent]) -> Option<TreeEntry> {
    let mut end = extents.first().map_or(0, |e| e.offset);
    for extent in extents {
        if extent.offset != end || extent.len == 0 {
            return None;
        }
        end = end.checked_add(extent.len)?;
    }
    Some(TreeEntry {
        path: Vec::new(),
        kind: EntryKind::File,
        mode: 0,
        uid: 0,
        gid: 0,
        size: end,
        nlink: 1,
        ino: 0,
        blocks: 0,
        rdev: 0,
        mtime_ns: 0,
        xattrs: Vec::new(),
        target: None,
        extents: extents.to_vec(),
        problems: Vec::new(),
    })
}
