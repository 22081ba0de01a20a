//! `coldcut bisect`: the search over real kernels, its interruption, and its answers in words.

use crate::common::{self, scenarios};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use coldcut::bisect::conclusion::Conclusion;
use coldcut::bisect::drive::Drive;
use coldcut::bisect::journal::Journal;
use coldcut::bisect::line::Candidate;
use coldcut::bisect::question::{FORMAT, Probe, Question};
use coldcut::bisect::report;
use coldcut::kernel::Flavour;
use coldcut_core::outcome::verdict::{Standing, Verdict, ViolationKind};
use coldcut_core::search::{Aim, Aspect, Behaviour, By, Flakiness, Sequential};

#[test]
fn real_kernels_are_searched_and_an_interrupted_search_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let results = dir.path().join("results");
    let file = dir.path().join("scenario.yaml");
    std::fs::write(&file, scenarios::read_write()).unwrap();
    let command = || {
        let mut command = common::coldcut(&results);
        command.arg("bisect").arg(&file);
        command.args(["--among", "5.10,6.1,6.12", "--jobs", "1"]);
        command
    };
    let mut child = command()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(300);
    while probes(&results).len() < 2 {
        assert!(
            Instant::now() < deadline && child.try_wait().unwrap().is_none(),
            "no probe was kept"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(probes(&results).len(), 2);

    let output = command().arg("--resume").output().unwrap();
    let said = common::text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("going on after 2 runs"), "{said}");
    assert!(
        said.contains("first bad: 6.12.") && said.contains("(last good: 6.1."),
        "{said}"
    );
    let indices: Vec<usize> = probes(&results).iter().map(|p| p.index).collect();
    assert_eq!(indices, [0, 2, 1], "both ends first, and nothing twice: {said}");

    // The answer's replay command shows what it is about.
    let replay = said
        .lines()
        .find_map(|l| l.trim().strip_prefix("coldcut replay "))
        .unwrap();
    let output = common::coldcut(&results)
        .args(["replay", replay])
        .output()
        .unwrap();
    let shown = common::text(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("dmesg: the kernel's log says"), "{shown}");

    let refused = command().arg("--resume").output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        common::text(&refused).contains("no unfinished search"),
        "{}",
        common::text(&refused)
    );
}

/// What the only search's journal holds.
fn probes(results: &Path) -> Vec<Probe> {
    let dirs = std::fs::read_dir(results).into_iter().flatten().flatten();
    let journals = dirs
        .map(|e| e.path().join("probes.jsonl"))
        .filter(|p| p.is_file());
    let text: String = journals.map(|p| std::fs::read_to_string(p).unwrap()).collect();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn ends_that_make_no_search_are_refused_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("scenario.yaml");
    std::fs::write(&file, scenarios::read_write()).unwrap();
    let refused = |args: &[&str], words: &str| {
        let mut command = common::coldcut(dir.path());
        let output = command
            .arg("bisect")
            .arg(&file)
            .arg("--stored")
            .args(args)
            .output()
            .unwrap();
        let said = common::text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "`{words}` is missing in: {said}");
    };
    refused(&["--good", "6.12", "--bad", "5.10"], "the wrong way round");
    refused(
        &["--good", "5.10", "--bad", "6.12", "--first-good"],
        "the wrong way round",
    );
    refused(&["--good", "5.10", "--bad", "5.10"], "both ends are 5.10.");
    refused(&["--good", "5.10", "--bad", "3.2"], "no cloud kernel `3.2`");
    refused(&["--good", "5.10"], "--bad <KERNEL>");
    refused(&["--among", "5.10"], "at least two");
    refused(
        &["--good", "5.10", "--bad", "6.12", "--miss", "1.5"],
        "a rate of 1.5",
    );
    refused(
        &["--good", "5.10", "--bad", "6.12", "--variant", "x"],
        "has no variant `x`",
    );
    let runs = std::fs::read_dir(dir.path()).unwrap().flatten();
    let made: Vec<_> = runs.filter(|e| e.path().join("probes.jsonl").is_file()).collect();
    for search in &made {
        assert_eq!(
            std::fs::metadata(search.path().join("probes.jsonl"))
                .unwrap()
                .len(),
            0
        );
    }
}

// What follows needs no machine: kernels are made up.

fn question(aim: Aim, count: usize) -> Question {
    Question {
        format: FORMAT,
        scenario: "s".into(),
        digest: "d".into(),
        variant: "v".into(),
        aim,
        by: By::Verdict,
        ends: vec!["6.0".into(), "7.0".into()],
        seed: 0,
        line: (0..count)
            .map(|index| Candidate {
                name: format!("6.{index}.0-made-up"),
                version: format!("6.{index}.0"),
                flavour: Flavour::Cloud,
                digest: None,
                packages: Vec::new(),
            })
            .collect(),
        command_line: Vec::new(),
    }
}

fn probe(index: usize, kinds: Option<&[ViolationKind]>) -> Probe {
    let verdict = kinds.map(|kinds| match kinds {
        [] => Verdict::Pass,
        kinds => Verdict::Violation {
            kinds: kinds.to_vec(),
        },
    });
    let violation = kinds.and_then(<[_]>::first);
    Probe {
        index,
        kernel: format!("6.{index}.0-made-up"),
        digest: None,
        cause: verdict
            .is_none()
            .then(|| "booting to record: no answer in 180 s".to_owned()),
        run: verdict
            .is_some()
            .then(|| (format!("run-{index}"), "s.v".to_owned())),
        violation: violation.map(|kind| ("a7-d".to_owned(), format!("{kind}: cut 7: something"))),
        behaviour: verdict.map(|verdict| Behaviour {
            verdict,
            standing: Standing::NotAsDeclared,
            partial: false,
            profile: None,
        }),
        seconds: 2.0,
    }
}

/// Searches made-up kernels; gives the answer and the exit code.
fn answer(
    question: Question,
    repeat: u32,
    every_change: bool,
    run: impl Fn(usize, usize) -> Probe,
) -> (String, u8) {
    let results = tempfile::tempdir().unwrap();
    let count = question.line.len();
    let test = if repeat == 1 {
        Sequential::new(Flakiness::NONE, 0.01, None).unwrap()
    } else {
        Sequential::repeated(repeat, 0.01 / count as f64, coldcut_core::search::Side::New)
            .unwrap()
            .0
    };
    let mut drive = Drive {
        journal: Journal::create(results.path(), &question, "").unwrap(),
        question,
        test,
        every_change,
    };
    let mut said = String::new();
    let mut runs = vec![0; count];
    let work = drive.run(
        |line| said.extend([line, "\n"]),
        async |index, _, _| {
            runs[index] += 1;
            Ok(run(index, runs[index]))
        },
    );
    let conclusion: Conclusion = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
        .unwrap();
    let answer = report::conclusion(&drive.question, &conclusion, Path::new("results/bisect-x"));
    (format!("{said}\n{answer}"), conclusion.exit_code())
}

const BAD: &[ViolationKind] = &[ViolationKind::Missing];

#[test]
fn the_answer_names_what_could_not_be_tested() {
    let (text, code) = answer(question(Aim::FirstBad, 9), 1, false, |index, _| match index {
        4 | 5 => probe(index, None),
        index if index < 5 => probe(index, Some(&[])),
        index => probe(index, Some(BAD)),
    });
    assert_eq!(code, 0);
    insta::assert_snapshot!(text);
}

#[test]
fn the_first_good_one_and_flaky_runs() {
    let (text, code) = answer(question(Aim::FirstBad, 4), 3, false, |index, run| {
        match (index, run) {
            (2, 3) | (3, _) => probe(index, Some(BAD)),
            _ => probe(index, Some(&[])),
        }
    });
    assert_eq!(code, 0);
    insta::assert_snapshot!(text);
    let (text, code) = answer(question(Aim::FirstGood, 4), 1, false, |index, _| {
        probe(index, Some(if index < 2 { BAD } else { &[] }))
    });
    assert_eq!(code, 0);
    assert!(
        text.contains("first good: 6.2.0-made-up (last bad: 6.1.0-made-up)"),
        "{text}"
    );
}

#[test]
fn every_change_of_behaviour_is_found() {
    // 6.0.0 6.0.1 … 6.1.0 …: four series of four, with a series that behaves otherwise in between.
    let mut question = question(Aim::FirstDifferent(Aspect::Kinds), 16);
    for (index, candidate) in question.line.iter_mut().enumerate() {
        candidate.version = format!("6.{}.{}", index / 4, index % 4);
        candidate.name = format!("{}-made-up", candidate.version);
    }
    let (text, code) = answer(question, 1, true, |index, _| {
        probe(
            index,
            match index {
                3 => None,
                6..11 => Some(BAD),
                _ => Some(&[]),
            },
        )
    });
    assert_eq!(code, 0);
    insta::assert_snapshot!(text);
}

#[test]
fn nothing_to_find_is_said_after_two_runs() {
    for (old, new, words) in [
        (
            BAD,
            &[][..],
            "the wrong way round: 6.0.0-made-up, the older, is bad",
        ),
        (BAD, BAD, "both ends are bad"),
        (&[], &[], "both ends are good"),
    ] {
        let (text, code) = answer(question(Aim::FirstBad, 20), 1, false, |index, _| {
            probe(index, Some(if index == 0 { old } else { new }))
        });
        assert_eq!(code, 1);
        assert!(
            text.contains(words) && text.contains("2 of 20 kernels tested, 2 runs"),
            "{text}"
        );
    }
    let (text, code) = answer(question(Aim::FirstBad, 3), 1, false, |index, _| {
        probe(index, None)
    });
    assert_eq!(code, 3);
    assert!(
        text.contains("no kernel is testable; untestable: 6.0.0-made-up"),
        "{text}"
    );
}
