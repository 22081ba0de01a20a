//! Renders a search as text: its progress and its answer.

use std::fmt::Write as _;
use std::path::Path;

use coldcut_core::search::{Aim, Answer, Aspect, Behaviour, Decision, Observation, Search, Side};

use super::conclusion::{Conclusion, Found};
use super::question::{Probe, Question};

/// What the two sides are called.
pub(super) fn side_names(aim: Aim) -> [&'static str; 2] {
    match aim {
        Aim::FirstBad => ["good", "bad"],
        Aim::FirstGood => ["bad", "good"],
        Aim::FirstDifferent(_) => ["as before", "different"],
    }
}

fn side_name(aim: Aim, side: Side) -> &'static str {
    side_names(aim)[usize::from(side == Side::New)]
}

/// Announces the kernel to be run next, and why it was chosen.
pub fn announce(
    question: &Question,
    (from, to): (usize, usize),
    search: &Search,
    index: usize,
    probes: &[Probe],
) -> String {
    let number = probes.len() + 1;
    let name = question.line[index].describe();
    let runs = probes.iter().filter(|p| p.index == index).count();
    let again = if runs > 0 {
        format!(", run {} of it", runs + 1)
    } else {
        String::new()
    };
    let why = match search.bounds() {
        Some((old, new)) => {
            let left = new - old - 1;
            let more = (left + 1).next_power_of_two().ilog2();
            format!("{left} left, about {more} more to test")
        }
        None if index == from => "the old end".to_owned(),
        None if index == to => "the new end".to_owned(),
        None => "in place of an untestable end".to_owned(),
    };
    format!("run {number}: {name}{again} ({why})")
}

/// Describes the outcome of a run.
pub fn run_line(question: &Question, probe: &Probe, old: Option<&Behaviour>) -> String {
    let what = match question.seen(probe, old) {
        Observation::Old => side_name(question.aim, Side::Old),
        Observation::New => side_name(question.aim, Side::New),
        Observation::Untestable => "untestable",
    };
    format!("  {what}: {} ({:.1} s)", behaved(question, probe), probe.seconds)
}

/// How a kernel behaved, in a few words.
fn behaved(question: &Question, probe: &Probe) -> String {
    let aspect = match question.aim {
        Aim::FirstDifferent(aspect) => aspect,
        _ => Aspect::Kinds,
    };
    let cause = || {
        let text = probe.cause.as_deref().unwrap_or("its verdict is inconclusive");
        text.lines().next().unwrap_or_default().to_owned()
    };
    let of = |aspect| probe.behaviour.as_ref().and_then(|b| b.aspect(aspect));
    of(aspect).or_else(|| of(Aspect::Verdict)).unwrap_or_else(cause)
}

/// The whole answer.
pub fn conclusion(question: &Question, conclusion: &Conclusion, dir: &Path) -> String {
    let mut text = String::new();
    let changes = |found: &&Found| matches!(found.answer, Answer::Between { .. });
    let shown: Vec<&Found> = match &conclusion.found[..] {
        [only] => vec![only],
        several => several.iter().filter(changes).collect(),
    };
    for found in &shown {
        answer(&mut text, question, found, &conclusion.probes, dir);
    }
    if conclusion.found.len() > 1 {
        let also = if shown.is_empty() {
            "no change: the"
        } else {
            "no other change: between these the"
        };
        let _ = writeln!(
            text,
            "{also} oldest and newest kernels of all series, in a row, are alike, or could not be tested"
        );
        let of = |found: &Found| {
            let all = untestable(question, found, &conclusion.probes).into_iter();
            all.map(|(index, why)| (found.from + index, why))
                .collect::<Vec<_>>()
        };
        let mut said: Vec<usize> = shown
            .iter()
            .flat_map(|found| of(found))
            .map(|(index, _)| index)
            .collect();
        for (index, why) in conclusion.found.iter().flat_map(of) {
            if !said.contains(&index) {
                said.push(index);
                let _ = writeln!(
                    text,
                    "  untestable      {}: {why}",
                    question.line[index].describe()
                );
            }
        }
    }
    let mut indices: Vec<usize> = conclusion.probes.iter().map(|p| p.index).collect();
    indices.sort_unstable();
    indices.dedup();
    let seconds: f64 = conclusion.probes.iter().map(|p| p.seconds).sum();
    let _ = writeln!(
        text,
        "{} of {} kernels tested, {} runs, {seconds:.0} s; every run: {}",
        indices.len(),
        question.line.len(),
        conclusion.probes.len(),
        dir.join("probes.jsonl").display()
    );
    text
}

/// An answer's lines: what was found, the kernels that show it, and those that could not be tested.
fn answer(text: &mut String, question: &Question, found: &Found, probes: &[Probe], dir: &Path) {
    let name = |index: usize| question.line[found.from + index].describe();
    let untestable = untestable(question, found, probes);
    let list = if untestable.is_empty() {
        String::new()
    } else {
        let names: Vec<String> = untestable.iter().map(|(index, _)| name(*index)).collect();
        format!("; untestable: {}", names.join(", "))
    };
    let _ = writeln!(text, "{}{list}", headline(question, found));
    if let Answer::Between {
        first_new, unknown, ..
    } = &found.answer
        && !unknown.is_empty()
    {
        let names: Vec<String> = unknown.iter().map(|p| name(*p)).collect();
        let _ = writeln!(
            text,
            "  the change is in one of {}, {}: those before the last could not be tested",
            names.join(", "),
            name(*first_new)
        );
    }
    let shown = Shown {
        question,
        found,
        probes,
        dir,
    };
    for (label, index) in shows(question.aim, &found.answer) {
        shown.details(text, &label, index);
    }
    for (index, why) in untestable {
        let _ = writeln!(text, "  untestable      {}: {why}", name(index));
    }
}

/// What was found, in a sentence.
fn headline(question: &Question, found: &Found) -> String {
    let name = |index: &usize| question.line[found.from + index].describe();
    let aim = question.aim;
    let [old, new] = side_names(aim);
    match &found.answer {
        Answer::Between {
            last_old, first_new, ..
        } => format!(
            "first {new}: {} (last {old}: {})",
            name(first_new),
            name(last_old)
        ),
        Answer::Alike { side, oldest, newest } => match (aim, side) {
            (Aim::FirstDifferent(_), Side::New) => format!(
                "{} does not agree with itself: its runs differ, so nothing can be compared with it",
                name(oldest)
            ),
            (Aim::FirstDifferent(_), Side::Old) => {
                format!("no change: {} behaves as {}", name(newest), name(oldest))
            }
            (aim, side) => format!(
                "both ends are {}: {} and {}; there is nothing to find between them",
                side_name(aim, *side),
                name(oldest),
                name(newest)
            ),
        },
        Answer::WrongWay { oldest, newest } => {
            let other = match aim {
                Aim::FirstBad => "; the first good one is found with --first-good",
                Aim::FirstGood => "; the first bad one is found without --first-good",
                Aim::FirstDifferent(_) => "",
            };
            format!(
                "the wrong way round: {}, the older, is {new}, and {} is {old}{other}",
                name(oldest),
                name(newest)
            )
        }
        Answer::Untestable {
            only: Some((index, side)),
        } => format!(
            "nothing to compare: only {} is testable, and is {}",
            name(index),
            side_name(aim, *side)
        ),
        Answer::Untestable { only: None } => "no kernel is testable".to_owned(),
    }
}

/// The kernels that an answer is about, each with what it is called.
fn shows(aim: Aim, answer: &Answer) -> Vec<(String, usize)> {
    let [old, new] = side_names(aim);
    match answer {
        Answer::Between {
            last_old, first_new, ..
        } => vec![
            (format!("first {new}"), *first_new),
            (format!("last {old}"), *last_old),
        ],
        Answer::Alike { oldest, newest, .. } | Answer::WrongWay { oldest, newest } => {
            vec![("old end".to_owned(), *oldest), ("new end".to_owned(), *newest)]
        }
        Answer::Untestable { .. } => Vec::new(),
    }
}

/// What is needed to render an answer.
struct Shown<'a> {
    question: &'a Question,
    found: &'a Found,
    probes: &'a [Probe],
    dir: &'a Path,
}

impl Shown<'_> {
    /// Describes a kernel of the answer: what it did, how often, and how to reproduce it.
    fn details(&self, text: &mut String, label: &str, index: usize) {
        let Self {
            question,
            found,
            probes,
            dir,
        } = *self;
        let of: Vec<&Probe> = probes.iter().filter(|p| p.index == found.from + index).collect();
        let decided = found.search.kernels().nth(index);
        // The run that shows what was decided, where several contradict each other.
        let shows = |probe: &&&Probe| match decided.map(|k| k.decision) {
            Some(Decision::Is(Side::New)) if question.aim == Aim::FirstBad => probe.violation.is_some(),
            Some(Decision::Is(Side::Old)) if question.aim == Aim::FirstGood => probe.violation.is_some(),
            _ => true,
        };
        let Some(probe) = of.iter().find(shows).or(of.first()) else {
            return;
        };
        let flaky = match decided.map(|k| k.runs) {
            Some(runs) if runs.flaky() => {
                let [old, new] = side_names(question.aim);
                format!(" (flaky: {} runs {old}, {} {new})", runs.old, runs.new)
            }
            Some(runs) if runs.total() > 1 => format!(" ({} runs)", runs.total()),
            _ => String::new(),
        };
        let _ = writeln!(text, "  {label:<15} {}{flaky}", behaved(question, probe));
        if let (Some((run, cell)), Some((state, evidence))) = (&probe.run, &probe.violation) {
            let _ = writeln!(text, "                  {evidence}");
            let _ = writeln!(
                text,
                "                  coldcut replay {}/{cell}/{state}",
                dir.join(run).display()
            );
        } else if let Some((run, _)) = &probe.run {
            let _ = writeln!(text, "                  coldcut show {}", dir.join(run).display());
        }
    }
}

/// The kernels that proved untestable, and why.
fn untestable(question: &Question, found: &Found, probes: &[Probe]) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    for (index, kernel) in found.search.kernels().enumerate() {
        if kernel.decision != Decision::Untestable {
            continue;
        }
        let why = if kernel.runs.old + kernel.runs.new > kernel.runs.untestable {
            let [old, new] = side_names(question.aim);
            format!(
                "{} runs {old}, {} {new}: more contradiction than the stated rates allow",
                kernel.runs.old, kernel.runs.new
            )
        } else {
            let unknown = |p: &&Probe| p.index == found.from + index && p.cause.is_some();
            probes.iter().find(unknown).map_or_else(
                || "its verdict is inconclusive".to_owned(),
                |p| behaved(question, p),
            )
        };
        out.push((index, why));
    }
    out
}

/// What to print when a search stops before its end.
pub(super) fn stopped(dir: &Path) -> String {
    format!(
        "the search stopped; the same command with --resume={} goes on with it",
        dir.display()
    )
}
