//! Reports and merging, from results alone: no machine is started.

use crate::common;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use coldcut::report::{
    FileReport, JsonLines, Reporter as _, Summary, render_junit, render_markdown, render_run,
};
use coldcut::results::{
    MergeError, Part, ResultsError, RunDir, RunInfo, ScenarioInfo, ShardInfo, load_result, load_run, merge,
};
use coldcut_core::outcome::event::{Event, Phase, Stamped};
use coldcut_core::outcome::name::FileName;
use coldcut_core::outcome::result::{
    CellRef, CellResult, KernelRef, Place, RunResult, StateCounts, Violation, format_of,
};
use coldcut_core::outcome::rounds::round_id;
use coldcut_core::outcome::shard::Shard;
use coldcut_core::outcome::verdict::{Declared, Standing, Verdict, ViolationKind};

pub(super) fn cell_ref(variant: &str, kernel: &str) -> CellRef {
    CellRef {
        id: FileName::of(&format!("rename.{variant}.{kernel}")),
        scenario: FileName::of("rename"),
        variant: variant.into(),
        kernel: kernel.into(),
        recovered_on: None,
    }
}

pub(super) fn hazard() -> Declared {
    Declared::Violates(vec![ViolationKind::Size])
}

pub(super) fn violates() -> Verdict {
    Verdict::Violation {
        kinds: vec![ViolationKind::Size],
    }
}

pub(super) fn result(cell: CellRef, declared: &Declared, verdict: Verdict) -> CellResult {
    let violated = matches!(verdict, Verdict::Violation { .. });
    CellResult {
        kernel: KernelRef {
            name: cell.kernel.clone(),
            release: format!("{}.1-amd64", cell.kernel),
            digest: "0123".into(),
        },
        recovered_on: None,
        cell,
        filesystem: "ext4".into(),
        mount: String::new(),
        standing: declared.standing(&verdict),
        declared: declared.clone(),
        verdict,
        states: StateCounts {
            total: 10,
            ..StateCounts::default()
        },
        obligations: 12,
        broken: u64::from(violated),
        violations: violated
            .then(|| Violation {
                kind: ViolationKind::Size,
                state: Place::CrashState("b28-d".into()),
                expectation: Some(0),
                rule: None,
                // What a guest can make a path be.
                evidence: "cut 28: a|b<c>`*_ \u{fffd} has size 0, expected 4096".into(),
                confirmed: Some(true),
            })
            .into_iter()
            .collect(),
        measured: Vec::new(),
        notes: Vec::new(),
        doubted: false,
        millis: BTreeMap::from([(Phase::Recover, 1500)]),
    }
}

/// Each standing once, on two kernels; one cell is not finished, one is flaky.
fn summary() -> Summary {
    let unknown = Verdict::Inconclusive {
        cause: "the machine did not boot\nsecond line".into(),
    };
    let mut cells = vec![
        result(cell_ref("control", "6.1"), &Declared::Holds, Verdict::Pass),
        result(cell_ref("control", "6.12"), &Declared::Holds, violates()),
        result(cell_ref("hazard", "6.1"), &hazard(), violates()),
        result(cell_ref("hazard", "6.12"), &hazard(), unknown),
    ];
    for round in 1..=4 {
        let mut cell = cell_ref("race", "6.1");
        cell.id = FileName::of(&round_id(&cell.id, round));
        let verdict = if round == 3 { violates() } else { Verdict::Pass };
        cells.push(result(cell, &Declared::Holds, verdict));
    }
    let mut planned: Vec<CellRef> = cells.iter().map(|cell| cell.cell.clone()).collect();
    planned.push(cell_ref("race", "6.12"));
    // Results come in any order.
    cells.reverse();
    Summary::new("20261122-170000-abcd", &planned, cells)
}

#[test]
fn junit_has_a_case_for_each_cell_and_fails_what_is_not_as_declared() {
    let xml = render_junit(&summary());
    insta::assert_snapshot!(xml);
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (6, 2, 2));
}

#[test]
fn markdown_is_the_grid() {
    insta::assert_snapshot!(render_markdown(&summary()));
    insta::assert_snapshot!(render_markdown(&Summary::new("empty", &[], Vec::new())));
}

#[test]
fn what_another_kernel_recovered_is_a_cell_of_its_own() {
    let mut elsewhere = cell_ref("control", "6.12");
    elsewhere.id = FileName::of(&format!("{}.on-6.1", elsewhere.id));
    elsewhere.recovered_on = Some("6.1".into());
    let here = cell_ref("control", "6.12");
    let planned = [here.clone(), elsewhere.clone()];
    let mut there = result(elsewhere, &hazard(), violates());
    there.recovered_on = Some(KernelRef {
        name: "6.1".into(),
        release: "6.1.9-amd64".into(),
        digest: "4567".into(),
    });
    let cells = vec![result(here, &Declared::Holds, Verdict::Pass), there];
    let summary = Summary::new("run-1", &planned, cells.clone());
    // They are not two rounds of one cell, whose verdicts would contradict each other.
    assert_eq!(
        (summary.result.totals.as_declared, summary.result.flaky.len()),
        (2, 0)
    );
    let markdown = render_markdown(&summary);
    assert!(
        markdown.contains("| 6.12 | 6.12 → 6.1 |") && markdown.contains("| holds | violates size |"),
        "{markdown}"
    );
    let xml = render_junit(&summary);
    assert!(
        xml.contains("control on 6.12 → 6.1") && xml.contains("recovered on 6.1.9-amd64 (4567)"),
        "{xml}"
    );
    let table = render_run(&summary);
    assert!(table.contains("recovered on 6.12  recovered on 6.1"), "{table}");
    let part = Part {
        dir: PathBuf::new(),
        info: info("run-1", &planned, None),
        result: Some(RunResult::new("run-1", cells)),
    };
    let merged = merge(&[part]).unwrap();
    assert_eq!((merged.info.format, merged.cells.len()), (2, 2));
    assert!(merged.cells.iter().all(|(.., result)| result.is_some()));
}

/// A run's directory as `coldcut run` leaves it.
pub(super) fn write_run(results: &Path, info: &RunInfo, cells: Vec<CellResult>) -> PathBuf {
    let dir = results.join(&info.run);
    fs::create_dir_all(dir.join("scenarios")).unwrap();
    fs::write(dir.join("scenarios/rename.yaml"), "text\n").unwrap();
    let json = |name: &str, text: String| fs::write(dir.join(name), text).unwrap();
    json("run.json", serde_json::to_string(info).unwrap());
    for cell in &cells {
        let cell = dir.join("cells").join(&cell.cell.id);
        fs::create_dir_all(cell.join("consoles")).unwrap();
        fs::write(cell.join("write.log"), "log").unwrap();
        fs::write(cell.join("consoles/record.log"), "console").unwrap();
    }
    json(
        "result.json",
        serde_json::to_string(&RunResult::new(&info.run, cells)).unwrap(),
    );
    dir
}

pub(super) fn info(run: &str, cells: &[CellRef], shard: Option<ShardInfo>) -> RunInfo {
    let mut kernels: Vec<KernelRef> = Vec::new();
    for cell in cells {
        if !kernels.iter().any(|kernel| kernel.name == cell.kernel) {
            kernels.push(result(cell.clone(), &Declared::Holds, Verdict::Pass).kernel);
        }
    }
    RunInfo {
        format: format_of(cells),
        run: FileName::of(run),
        coldcut: "0.1.0".into(),
        qemu: "10".into(),
        accel: "TCG".into(),
        command_line: vec!["coldcut".into()],
        seed: 0,
        started: 1,
        kernels,
        scenarios: vec![ScenarioInfo {
            name: FileName::of("rename"),
            file: "rename.yaml".into(),
            digest: "d".into(),
        }],
        cells: cells.to_vec(),
        shard,
    }
}

fn plan() -> Vec<CellRef> {
    ["a", "b", "c", "d", "e"]
        .iter()
        .flat_map(|variant| ["6.1", "6.12"].map(|kernel| cell_ref(variant, kernel)))
        .collect()
}

/// The parts of a run, as in-memory runs.
fn parts(of: u32) -> Vec<Part> {
    (1..=of)
        .map(|index| {
            let part = Shard { index, of };
            let cells: Vec<CellRef> = plan()
                .into_iter()
                .filter(|cell| part.contains(&cell.id))
                .collect();
            let shard = ShardInfo { part, plan: plan() };
            let run = format!("run-{index}");
            let results = cells
                .iter()
                .map(|cell| result(cell.clone(), &Declared::Holds, Verdict::Pass));
            Part {
                dir: PathBuf::new(),
                result: Some(RunResult::new(&run, results.collect())),
                info: info(&run, &cells, Some(shard)),
            }
        })
        .collect()
}

#[test]
fn parts_make_the_whole_in_its_order_however_they_are_given() {
    for of in [1, 2, 3, 7, 40] {
        let mut parts = parts(of);
        parts.reverse();
        let merged = merge(&parts).unwrap();
        assert_eq!(merged.info.cells, plan(), "{of}");
        assert!(merged.cells.iter().all(|(.., result)| result.is_some()));
        assert_eq!(merged.info.shard, None);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |change: &dyn Fn(&mut Vec<Part>)| {
        let mut parts = parts(3);
        change(&mut parts);
        merge(&parts).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused(&|parts| drop(parts.remove(1))), @"part 2 of 3 is missing");
    insta::assert_snapshot!(
        refused(&|parts| parts.push(parts[0].clone())),
        @"run-1 and run-1 are both part 1/3"
    );
    insta::assert_snapshot!(
        refused(&|parts| parts[2].info.shard.as_mut().unwrap().part.of = 4),
        @"run-1 and run-3 are not parts of the same run: one is of 3 parts, the other of 4"
    );
    insta::assert_snapshot!(
        refused(&|parts| drop(parts[1].info.shard.as_mut().unwrap().plan.pop())),
        @"run-1 and run-2 are not parts of the same run: they have different cells in all"
    );
    insta::assert_snapshot!(
        refused(&|parts| parts[1].info.shard = None),
        @"run-1 is a part of a larger run and run-2 is not; merge parts with the other parts of their run"
    );
    insta::assert_snapshot!(
        refused(&|parts| parts[1].info.kernels[0].digest = "4567".into()),
        @"run-1 and run-2 contradict each other: kernel 6.12 is 6.12.1-amd64 (0123) in one and 6.12.1-amd64 (4567) in the other"
    );
    insta::assert_snapshot!(
        refused(&|parts| parts[2].info.scenarios[0].digest = "other".into()),
        @"run-1 and run-3 contradict each other: scenario rename says different things in the two"
    );
    insta::assert_snapshot!(
        refused(&|parts| parts[2].info.seed = 9),
        @"run-1 and run-3 contradict each other: they have different seeds"
    );
    assert_eq!(merge(&[]).unwrap_err(), MergeError::Nothing);
    // Runs of their own: a cell in both is a contradiction, even where both say the same.
    let cells = [cell_ref("a", "6.1")];
    let own = |run: &str| Part {
        dir: PathBuf::new(),
        info: info(run, &cells, None),
        result: None,
    };
    insta::assert_snapshot!(
        merge(&[own("x"), own("y")]).unwrap_err(),
        @"x and y contradict each other: cell rename.a.6.1 is in both (to run a cell several times, use --repeat)"
    );
}

pub(super) fn coldcut(results: &Path, args: &[&str]) -> Output {
    common::coldcut(results).args(args).output().unwrap()
}

#[test]
fn merging_on_the_command_line_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let of_kernel = |kernel: &str, verdict: Verdict| {
        let cells = [cell_ref("control", kernel), cell_ref("hazard", kernel)];
        let info = info(&format!("run-{kernel}"), &cells, None);
        let [control, hazardous] = cells;
        let cells = vec![
            result(control, &Declared::Holds, verdict),
            result(hazardous, &hazard(), violates()),
        ];
        write_run(dir.path(), &info, cells)
    };
    of_kernel("6.1", Verdict::Pass);
    let bad = of_kernel("6.12", violates());
    let (junit, markdown) = (dir.path().join("out.xml"), dir.path().join("out.md"));
    let args = [
        "merge",
        "run-6.1",
        bad.to_str().unwrap(),
        "--junit",
        junit.to_str().unwrap(),
    ];
    let output = coldcut(
        dir.path(),
        &[&args[..], &["--markdown", markdown.to_str().unwrap()]].concat(),
    );
    assert_eq!(output.status.code(), Some(1), "{}", common::text(&output));
    let latest = dir.path().join("latest");
    let (info, merged) = (load_run(&latest).unwrap(), load_result(&latest).unwrap());
    assert_eq!((info.cells.len(), merged.cells.len()), (4, 4));
    assert_eq!((merged.totals.as_declared, merged.totals.not_as_declared), (3, 1));
    assert_eq!(merged.cells[2].standing, Standing::NotAsDeclared);
    for cell in &info.cells {
        for file in ["write.log", "consoles/record.log"] {
            assert!(
                latest.join("cells").join(&cell.id).join(file).exists(),
                "{} {file}",
                cell.id
            );
        }
    }
    assert!(latest.join("scenarios/rename.yaml").exists());
    // The merged run's own name is in the commands that replay it.
    let xml = fs::read_to_string(&junit).unwrap();
    assert!(
        xml.contains(&format!("coldcut replay {}/rename.control.6.12/b28-d", info.run)),
        "{xml}"
    );
    assert!(
        fs::read_to_string(&markdown)
            .unwrap()
            .contains("**violates size**")
    );
    // Shown again, it says the same.
    let again = dir.path().join("again.xml");
    let shown = coldcut(
        dir.path(),
        &["show", "latest", "--junit", again.to_str().unwrap()],
    );
    assert_eq!(shown.status.code(), Some(1));
    assert_eq!(fs::read_to_string(again).unwrap(), xml);
}

#[test]
fn a_part_that_was_not_finished_is_not_merged_silently() {
    let dir = tempfile::tempdir().unwrap();
    let cells = [cell_ref("control", "6.1"), cell_ref("hazard", "6.1")];
    let done = result(cells[0].clone(), &Declared::Holds, Verdict::Pass);
    write_run(dir.path(), &info("run-1", &cells, None), vec![done]);
    let output = coldcut(dir.path(), &["merge", "run-1"]);
    assert_eq!(output.status.code(), Some(2));
    let text = common::text(&output);
    assert!(text.contains("rename.hazard.6.1"), "{text}");
    let junit = dir.path().join("out.xml");
    let args = [
        "merge",
        "run-1",
        "--unfinished",
        "--junit",
        junit.to_str().unwrap(),
    ];
    assert_eq!(coldcut(dir.path(), &args).status.code(), Some(3));
    assert!(fs::read_to_string(junit).unwrap().contains("not-finished"));
}

/// Forty cells, each of its own variant.
fn forty() -> (RunInfo, Vec<CellResult>) {
    let cells: Vec<CellRef> = (0..40).map(|n| cell_ref(&format!("v{n:02}"), "6.1")).collect();
    let results = cells
        .iter()
        .map(|cell| result(cell.clone(), &Declared::Holds, Verdict::Pass));
    (info("run-1", &cells, None), results.collect())
}

fn finished(at: f64, result: &CellResult) -> Stamped {
    let event = Event::CellFinished {
        result: Box::new(result.clone()),
    };
    Stamped { at, event }
}

#[test]
fn a_killed_run_leaves_every_cell_that_was_finished() {
    let dir = tempfile::tempdir().unwrap();
    let (info, cells) = forty();
    let mut run = RunDir::create(dir.path()).unwrap();
    let path = run.path().to_owned();
    let mut events = JsonLines::new(run.events().unwrap());
    run.begin(&RunInfo {
        run: run.id().to_owned(),
        ..info
    })
    .unwrap();
    let nothing = load_result(&path).unwrap_err();
    assert!(matches!(nothing, ResultsError::NothingFinished(_)), "{nothing}");
    // They come in any order.
    for cell in cells.iter().rev().take(23) {
        events.event(&finished(1.5, cell));
        run.finish_cell(cell.clone()).unwrap();
    }
    // Killed: nobody writes anything any more, and the last line is cut short.
    std::mem::forget(run);
    let mut file = fs::File::options()
        .append(true)
        .open(path.join("events.jsonl"))
        .unwrap();
    let line = serde_json::to_string(&finished(2.0, &cells[0])).unwrap();
    file.write_all(&line.as_bytes()[..line.len() / 2]).unwrap();
    let kept: RunResult = serde_json::from_slice(&fs::read(path.join("result.json")).unwrap()).unwrap();
    assert!(
        (16..23).contains(&kept.cells.len()),
        "{} are in result.json",
        kept.cells.len()
    );
    let all = load_result(&path).unwrap();
    assert_eq!(all.cells, cells[17..]);
    assert_eq!(all.totals.as_declared, 23);
    fs::remove_file(path.join("result.json")).unwrap();
    assert_eq!(load_result(&path).unwrap(), all);
    let shown = coldcut(dir.path(), &["show"]);
    assert_eq!(shown.status.code(), Some(3));
    let text = common::text(&shown);
    assert!(
        text.contains("23 as declared") && text.contains("17 cells of this run were not finished"),
        "{text}"
    );
    // A line that is no event, where it is not the last, is damage.
    file.write_all(b"cell-finished\n").unwrap();
    assert!(matches!(load_result(&path), Err(ResultsError::Parse { .. })));
}

#[test]
fn an_interrupted_run_writes_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let (info, cells) = forty();
    let junit = dir.path().join("out.xml");
    let mut run = RunDir::create(dir.path()).unwrap();
    let path = run.path().to_owned();
    run.begin(&info).unwrap();
    let mut report = FileReport::new(&junit, render_junit).unwrap();
    let started = Event::RunStarted {
        run: info.run.to_string(),
        cells: info.cells.clone(),
        jobs: 1,
        accel: String::new(),
        dir: None,
    };
    report.event(&Stamped {
        at: 0.0,
        event: started,
    });
    for cell in &cells[..23] {
        report.event(&finished(1.5, cell));
        run.finish_cell(cell.clone()).unwrap();
    }
    drop((run, report));
    let kept: RunResult = serde_json::from_slice(&fs::read(path.join("result.json")).unwrap()).unwrap();
    assert_eq!(kept.cells, cells[..23]);
    let xml = fs::read_to_string(junit).unwrap();
    assert_eq!(
        (
            xml.matches("<testcase").count(),
            xml.matches("not-finished").count()
        ),
        (40, 17)
    );
}
