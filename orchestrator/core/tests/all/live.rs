//! Live checks: what was measured against what was promised.

use coldcut_core::oracle::Tally;
use coldcut_core::oracle::measured::{Judged, Measurements, judge};
use coldcut_core::outcome::verdict::{Verdict, ViolationKind};
use coldcut_core::scenario::Scenario;
use coldcut_wire::{Extent, Measured, PatternName, Source, pattern};

const HEAD: &str = "
format: 1
name: live
filesystem: {type: ext4, size: 64MiB}
crash: none
workload:
  - write: {path: f, len: 4KiB}
  - write: {path: f, len: 4KiB, content: f@1}
  - burst: {path: a, len: 1MiB, chunk: 64KiB}
    label: tight
  - burst: {path: a, len: 1MiB, chunk: 64KiB}
    label: loose
  - read: {path: f, len: 4KiB}
    label: seen
  - fsync: f
    label: synced
    errno: any
expect:
";

fn scenario(expect: &str) -> Result<Scenario, String> {
    Scenario::parse("live.yaml", &format!("{HEAD}{expect}")).map_err(|e| e.to_string())
}

fn judged(expect: &str, found: &Measurements) -> (Judged, Verdict) {
    let scenario = scenario(expect).unwrap_or_else(|e| panic!("{e}"));
    let variant = &scenario.variants()[0];
    assert!(!variant.has_crash());
    let judged = judge(variant, found);
    let mut tally = Tally::new(variant);
    tally.add(&judged.judgement);
    let verdict = tally.verdict();
    (judged, verdict)
}

fn writes(found: &mut Measurements, step: &str, millis: &[i64]) {
    let series = Measured::Series {
        name: "writes".to_owned(),
        values: millis.iter().map(|ms| ms * 1_000_000).collect(),
    };
    found.absorb(step, series).unwrap();
}

fn content(generation: &str, offset: u64, len: u64) -> Extent {
    let name = PatternName {
        file: "f".to_owned(),
        generation: generation.to_owned(),
    };
    Extent {
        offset,
        len,
        source: Source::Content {
            id: pattern::pattern_id(&name),
            at: offset,
            label: pattern::label(&name),
        },
    }
}

fn violates(kind: ViolationKind) -> Verdict {
    Verdict::Violation { kinds: vec![kind] }
}

const CONTRAST: &str = "
  - contrast:
      hazard: {of: tight.writes.over(100ms), at_least: 3}
      control: {of: loose.writes.over(100ms), at_most: 0}
";

#[test]
fn a_contrast_needs_both_arms() {
    let with = |tight: &[i64], loose: &[i64]| {
        let mut found = Measurements::default();
        writes(&mut found, "tight", tight);
        writes(&mut found, "loose", loose);
        judged(CONTRAST, &found).1
    };
    assert_eq!(with(&[200, 300, 400], &[1, 2]), violates(ViolationKind::Stall));
    assert_eq!(with(&[1, 2, 3], &[1, 2]), Verdict::Pass);
    let unknown = |verdict: &Verdict| matches!(verdict, Verdict::Inconclusive { .. });
    assert!(
        unknown(&with(&[200, 300, 400], &[101])),
        "the control shows it too"
    );
    assert!(unknown(&with(&[1, 2, 3], &[101])), "only the control shows it");
    assert!(unknown(&with(&[200, 1, 1], &[1])), "in between");
}

#[test]
fn what_was_not_measured_is_unknown() {
    let mut found = Measurements::default();
    writes(&mut found, "tight", &[1]);
    for expect in [
        CONTRAST,
        "  - measure: {of: loose.writes.max, at_most: 1s}\n",
        "  - measure: {of: synced.errno, is: EIO}\n",
        "  - returned: {step: seen, is: f@1}\n",
        "  - logged: {none_of: [error]}\n",
    ] {
        let (judged, verdict) = judged(expect, &found);
        assert!(
            matches!(verdict, Verdict::Inconclusive { .. }),
            "{expect}: {verdict:?}"
        );
        assert_eq!(
            (judged.judgement.obligations, judged.lines.len()),
            (0, 0),
            "{expect}"
        );
    }
    // The same with a promise that is kept: what is unknown is not forgotten.
    let both = "  - measure: {of: tight.writes.max, at_most: 1s}\n  - measure: {of: synced.errno, is: ok}\n";
    assert!(matches!(judged(both, &found).1, Verdict::Inconclusive { .. }));
}

#[test]
fn an_assumption_is_no_promise_and_without_it_nothing_is_known() {
    let mut found = Measurements::default();
    writes(&mut found, "tight", &[300]);
    writes(&mut found, "loose", &[1]);
    let both = |assumed: &str, at_most: &str| {
        let expect = format!(
            "  - assume: {{of: loose.writes.max, {assumed}}}\n  - measure: {{of: tight.writes.max, at_most: {at_most}}}\n"
        );
        judged(&expect, &found)
    };
    let (met, verdict) = both("at_most: 5ms", "1s");
    assert_eq!((verdict, met.judgement.obligations), (Verdict::Pass, 1));
    assert!(
        met.unmet.is_empty() && met.lines[0].ends_with("as assumed"),
        "{met:?}"
    );
    let (unmet, verdict) = both("at_least: 5ms", "1s");
    assert!(matches!(verdict, Verdict::Inconclusive { .. }), "{verdict:?}");
    assert!(unmet.unmet[0].contains("was assumed to be at least"), "{unmet:?}");
    // A broken promise is no proof either where the scenario has not happened: the runner goes by `unmet`.
    assert_eq!(both("at_least: 5ms", "1ms").0.unmet.len(), 1);
    let (unknown, _) = judged(
        "  - assume: {of: synced.errno, is: ok}\n  - measure: {of: tight.writes.max, at_most: 1s}\n",
        &found,
    );
    assert!(unknown.unmet[0].contains("was not measured"), "{unknown:?}");
    let alone = scenario("  - assume: {of: tight.writes.max, at_most: 1s}\n").unwrap_err();
    assert!(alone.contains("could not fail"), "{alone}");
}

#[test]
fn a_wrong_clock_makes_nothing_certain() {
    let mut found = Measurements::default();
    writes(&mut found, "tight", &[1]);
    found.clock = Some("the guest's clock is wrong".to_owned());
    let (_, verdict) = judged("  - measure: {of: tight.writes.max, at_most: 1s}\n", &found);
    assert!(matches!(verdict, Verdict::Inconclusive { .. }), "{verdict:?}");
}

#[test]
fn numbers_are_compared_with_values_and_with_one_another() {
    let mut found = Measurements::default();
    writes(&mut found, "tight", &[300, 100]);
    writes(&mut found, "loose", &[90, 100]);
    found.figure("synced", "errno", 5);
    for (expect, holds) in [
        (
            "{of: tight.writes.max, at_least: {of: loose.writes.max, times: 3}}",
            true,
        ),
        (
            "{of: tight.writes.max, at_least: {of: loose.writes.max, times: 3.001}}",
            false,
        ),
        ("{of: tight.writes.max, at_least: 300ms, at_most: 300ms}", true),
        ("{of: tight.writes.count, is: 2}", true),
        ("{of: tight.writes.count, is: 3}", false),
        ("{of: synced.errno, is: EIO}", true),
        ("{of: synced.errno, is: ok}", false),
    ] {
        let (judged, verdict) = judged(&format!("  - measure: {expect}\n"), &found);
        let wanted = if holds {
            Verdict::Pass
        } else {
            violates(ViolationKind::Measure)
        };
        assert_eq!(verdict, wanted, "{expect}: {:?}", judged.lines);
    }
}

#[test]
fn reads_are_judged_round_by_round() {
    let with = |rounds: &[Vec<Extent>], expect: &str| {
        let mut found = Measurements::default();
        for (round, extents) in rounds.iter().enumerate() {
            let data = Measured::Data {
                round: round as u32,
                extents: extents.clone(),
            };
            found.absorb("seen", data).unwrap();
        }
        judged(expect, &found).1
    };
    let (old, new) = (vec![content("0", 0, 4096)], vec![content("1", 0, 4096)]);
    let mixed = vec![content("0", 0, 512), content("1", 512, 3584)];
    let is = "  - returned: {step: seen, is: f@1}\n";
    assert_eq!(with(std::slice::from_ref(&new), is), Verdict::Pass);
    assert_eq!(
        with(std::slice::from_ref(&old), is),
        violates(ViolationKind::StaleRead)
    );
    assert_eq!(
        with(&[new.clone(), old.clone()], is),
        violates(ViolationKind::StaleRead)
    );
    assert_eq!(
        with(std::slice::from_ref(&mixed), is),
        violates(ViolationKind::StaleRead)
    );
    let lost = "  - returned: {step: seen, is: f@1, kind: lost-write}\n";
    assert_eq!(
        with(std::slice::from_ref(&old), lost),
        violates(ViolationKind::LostWrite)
    );
    let either = "  - returned: {step: seen, one_of: [f@0, f@1]}\n";
    assert_eq!(with(&[old.clone(), new.clone()], either), Verdict::Pass);
    assert_eq!(
        with(std::slice::from_ref(&mixed), either),
        violates(ViolationKind::StaleRead)
    );
    assert_eq!(
        with(&[mixed], "  - returned: {step: seen, mix_of: [f@0, f@1]}\n"),
        Verdict::Pass
    );
    let part = "  - returned: {step: seen, is: f@1, offset: 512, len: 512}\n";
    assert_eq!(
        with(&[vec![content("0", 0, 512), content("1", 512, 3584)]], part),
        Verdict::Pass
    );
    // A read that came back short, or empty, returned less than was asked for.
    assert_eq!(with(&[Vec::new()], is), violates(ViolationKind::Size));
}

#[test]
fn what_could_not_fail_is_refused() {
    for (expect, why) in [
        ("  - content: {path: f, is: f@1}\n", "here is none"),
        ("  - mounts: true\n", "here is none"),
        (
            "  - measure: {of: tight.writes.max}\n",
            "needs `is`, or `at_least`",
        ),
        (
            "  - measure: {of: tight.writes.max, at_least: 5}\n",
            "this is a time",
        ),
        (
            "  - measure: {of: tight.pauses.max, at_least: 5}\n",
            "yields no `pauses`",
        ),
        (
            "  - measure: {of: tight.writes.max, at_least: 5ms}\n    after: tight\n",
            "judged once",
        ),
        ("  - returned: {step: tight, is: f@1}\n", "yields `data`"),
        (
            "  - returned: {step: seen, is: f@1, offset: 4KiB, len: 1}\n",
            "reads 0..4096 only",
        ),
        ("  - returned: {step: seen, is: f@7}\n", "no step writes"),
        (
            "  - contrast: {hazard: {of: tight.bytes, at_least: 1}, control: {of: tight.bytes, at_most: 0}}\n",
            "the same number",
        ),
        ("  - logged: {}\n", "needs `any_of` or `none_of`"),
    ] {
        let error = scenario(expect).expect_err(expect);
        assert!(error.contains(why), "{expect}: {error}");
    }
    let traced = HEAD.replace("expect:", "  - trace: {event: 'a:b'}\n    label: t\nexpect:");
    let text = format!("{traced}  - measure: {{of: t.events, is: 0}}\n");
    let error = Scenario::parse("live.yaml", &text)
        .expect_err("never collected")
        .to_string();
    assert!(error.contains("nobody collects the trace `t`"), "{error}");
    let crash = HEAD.replace("crash: none", "crash: barriers");
    let text = format!("{crash}  - measure: {{of: tight.bytes, at_least: 1}}\n");
    let error = Scenario::parse("live.yaml", &text)
        .expect_err("nothing about crash states")
        .to_string();
    assert!(error.contains("nothing is expected of any path"), "{error}");
}
