//! Judges by what programs said of what was recovered.

use std::collections::HashSet;

use super::asked::Asked;
use super::data::printable;
use super::{CheckOutcome, History};
use crate::outcome::recovery::{Answer, Recovery};
use crate::outcome::verdict::ViolationKind;
use crate::scenario::{Dump, Variant, Verifier};

/// Judges the answer of the program that the expectation with this place in the list asks.
pub(super) fn check(
    variant: &Variant,
    (expectation, verifier): (usize, &Verifier),
    history: &History,
    recovery: &Recovery,
) -> CheckOutcome {
    let name = verifier.spec.argv.first().map_or("", String::as_str);
    let name = printable(name.as_bytes());
    let asked = history.asked(variant);
    let Some((asked, verified)) = asked.as_ref().zip(recovery.verified.as_ref()) else {
        return CheckOutcome::Doubt(format!("`{name}` was to judge this, and was not asked"));
    };
    if verified.asked != asked.digest() {
        let doubt = format!("`{name}` was asked about other acknowledgements than those of this cut");
        return CheckOutcome::Doubt(doubt);
    }
    let answer = verified
        .answers
        .iter()
        .find(|answer| answer.expectation == expectation);
    let Some(answer) = answer else {
        return CheckOutcome::Doubt(format!("`{name}` was to judge this, and gave no answer"));
    };
    let code = match &answer.ended {
        Ok(code) => *code,
        Err(why) => {
            let why = printable(why.as_bytes());
            return CheckOutcome::Doubt(format!("`{name}` gave no answer: {why}"));
        }
    };
    let said = || last_words(answer);
    let outcome = match (code, &verifier.dump) {
        (0, None) => None,
        (0, Some(dump)) => compare(dump, asked, &answer.lines),
        (code, _) if verifier.violates.contains(&code) => Some(format!("exits {code}{}", said())),
        (code, _) => {
            let doubt = format!("`{name}` exits {code}, which is no answer{}", said());
            return CheckOutcome::Doubt(doubt);
        }
    };
    match outcome {
        Some(what) => CheckOutcome::Broken(ViolationKind::Verify, format!("`{name}` {what}")),
        // Before anything was acknowledged nothing can be lost.
        None if relevant(verifier, asked) == 0 && variant.acknowledges_lines() => CheckOutcome::Idle,
        None => CheckOutcome::Holds,
    }
}

/// Acknowledged lines that are about what this program judges.
fn relevant(verifier: &Verifier, asked: &Asked) -> usize {
    let lines = asked.acknowledged.iter();
    lines
        .filter(|line| match &verifier.dump {
            Some(dump) => dump.each.captures(line).is_some(),
            None => true,
        })
        .count()
}

fn last_words(answer: &Answer) -> String {
    if answer.last.is_empty() {
        return String::new();
    }
    let last = answer.last.iter().map(|line| printable(line.as_bytes()));
    format!("; it last said: {}", last.collect::<Vec<_>>().join(" / "))
}

/// What is wrong with what is there; `None` when nothing is.
fn compare(dump: &Dump, asked: &Asked, lines: &[String]) -> Option<String> {
    let wanted = |line: &String| Some(dump.found.filled(&dump.each.captures(line)?));
    let acknowledged: Vec<String> = asked.acknowledged.iter().filter_map(wanted).collect();
    let begun: Vec<String> = asked.begun.iter().filter_map(wanted).collect();
    let there: HashSet<&str> = lines.iter().map(String::as_str).collect();
    let lost: Vec<&String> = acknowledged
        .iter()
        .filter(|line| !there.contains(line.as_str()))
        .collect();
    if let Some(first) = lost.first() {
        let (first, lost, all) = (printable(first.as_bytes()), lost.len(), acknowledged.len());
        return Some(format!(
            "shows {lost} of {all} acknowledged lines not to be there, the first: `{first}`"
        ));
    }
    let known: HashSet<&str> = acknowledged.iter().chain(&begun).map(String::as_str).collect();
    let unknown = lines.iter().find(|line| !known.contains(line.as_str()));
    if let (Some(line), false) = (unknown, asked.open) {
        let line = printable(line.as_bytes());
        return Some(format!("shows `{line}`, which nobody had begun to write"));
    }
    let mut order = begun.iter().skip_while(|line| there.contains(line.as_str()));
    let missing = order.next().filter(|_| dump.prefix)?;
    let later = order.find(|line| there.contains(line.as_str()))?;
    let (missing, later) = (printable(missing.as_bytes()), printable(later.as_bytes()));
    Some(format!(
        "shows `{later}` without `{missing}`, which was written before it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::index::Digest;
    use crate::outcome::recovery::{Trust, Verified};
    use crate::outcome::verdict::Judgement;
    use crate::recording::mark::Mark;
    use crate::scenario::{LinePattern, Scenario};

    fn lines(numbers: &[u32]) -> Vec<String> {
        numbers.iter().map(|n| format!("row {n}")).collect()
    }

    /// What is said of a dump of these rows, where the first so many of ten were acknowledged.
    fn said(there: &[u32], acknowledged: u32, prefix: bool, open: bool) -> Option<String> {
        let pattern = |text: &str| LinePattern::parse(text).unwrap();
        let dump = Dump {
            each: pattern("row {n}"),
            found: pattern("{n}"),
            prefix,
        };
        let all: Vec<u32> = (1..=10).collect();
        let (before, after) = all.split_at(acknowledged as usize);
        let mut asked = Asked {
            verifiers: vec![0],
            acknowledged: lines(before),
            begun: lines(after),
            open,
        };
        asked.acknowledged.push("something else".to_owned());
        let there: Vec<String> = there.iter().map(u32::to_string).collect();
        compare(&dump, &asked, &there)
    }

    #[test]
    fn what_was_acknowledged_must_be_there() {
        assert_eq!(said(&[1, 2, 3], 3, true, false), None);
        assert_eq!(
            said(&[3, 1, 2], 3, true, false),
            None,
            "a dump may have an order of its own"
        );
        assert_eq!(said(&[1, 2, 3, 4], 3, true, false), None, "begun, and there");
        assert_eq!(said(&[], 0, true, false), None);
        let lost = said(&[1, 3], 4, true, false).unwrap();
        assert!(lost.contains("2 of 4") && lost.contains("`2`"), "{lost}");
    }

    #[test]
    fn what_nobody_began_must_not_be_there() {
        let said_of = |open| said(&[1, 2, 11], 2, false, open);
        assert!(said_of(false).unwrap().contains("`11`, which nobody"));
        assert_eq!(said_of(true), None, "a program was still running at the end");
    }

    #[test]
    fn nothing_is_missing_in_the_middle() {
        let gap = said(&[1, 2, 4], 2, true, false).unwrap();
        assert!(gap.contains("`4` without `3`"), "{gap}");
        assert_eq!(
            said(&[1, 2, 4], 2, false, false),
            None,
            "where no order is promised"
        );
    }

    /// The judgement of an answer, given the question that it is to; by default that of the cut.
    fn judged(ended: Result<i32, String>, asked: Option<Digest>) -> Judgement {
        let text = "format: 1\nname: x\nfilesystem: {type: ext4, size: 16MiB}\nprograms: bin\n\
                    workload: [{exec: {argv: [p], mark_prefix: \"ack \"}}]\nexpect: [{verify: {argv: [judge]}}]\n";
        let scenario = Scenario::parse("x.yaml", text).unwrap();
        let variant = &scenario.variants()[0];
        let marks = ["begin 0 exec#0", "line 0 row 1", "done 0 exec#0"].map(Mark::from);
        let history = History::from_marks(&marks);
        let own = history.asked(variant).unwrap();
        assert_eq!((own.acknowledged.len(), own.open), (1, false));
        let answer = Answer {
            expectation: 0,
            ended,
            lines: Vec::new(),
            last: vec!["words".to_owned()],
        };
        let recovery = Recovery {
            panic: None,
            verified: Some(Verified {
                asked: asked.unwrap_or_else(|| own.digest()),
                answers: vec![answer],
            }),
            ..Recovery::panicked(Trust::Cold, String::new())
        };
        crate::oracle::judge(variant, &history, &recovery)
    }

    #[test]
    fn only_an_answer_to_this_question_counts() {
        let right = judged(Ok(0), None);
        assert_eq!(
            (right.obligations, right.doubts.len()),
            (1, 1),
            "{right:?}: the tree is empty"
        );
        let other = judged(Ok(0), Some(Digest([7; 16])));
        assert_eq!(other.obligations, 0);
        assert!(other.doubts[1].contains("other acknowledgements"), "{other:?}");
        let broken = judged(Ok(1), Some(Digest([7; 16])));
        assert!(broken.findings.is_empty(), "{broken:?}");
    }

    #[test]
    fn exit_codes_mean_what_the_page_says() {
        let kinds = |ended| {
            let judged = judged(ended, None);
            let kinds: Vec<_> = judged.findings.iter().map(|finding| finding.kind).collect();
            (kinds, judged.doubts.len() - 1)
        };
        assert_eq!(kinds(Ok(0)), (vec![], 0));
        assert_eq!(kinds(Ok(1)), (vec![ViolationKind::Verify], 0));
        for unknown in [Ok(2), Ok(137), Err("killed after 5 ms".to_owned())] {
            assert_eq!(kinds(unknown.clone()), (vec![], 1), "{unknown:?}");
        }
    }
}
