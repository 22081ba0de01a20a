//! Borders inside sectors. A file is made of bytes; a walk that knows nothing but those bytes describes it in any way
//! that they allow. What is reported must follow from the bytes alone, however they were described.

use coldcut_core::oracle::{History, judge};
use coldcut_core::outcome::verdict::ViolationKind;
use coldcut_core::recording::mark::Mark;
use coldcut_core::scenario::{Scenario, Variant};
use coldcut_wire::pattern::{Pattern, SECTOR, identify_raw};
use coldcut_wire::{Extent, PatternName, Source};
use proptest::prelude::*;

const OWN: [&str; 3] = ["f@0", "f@1", "f@2"];
const OTHER: &str = "g@0";

fn name(label: &str) -> PatternName {
    let (file, generation) = label.rsplit_once('@').unwrap();
    PatternName {
        file: file.to_owned(),
        generation: generation.to_owned(),
    }
}

/// A content's bytes in place; zeros for `None`.
fn stream(label: Option<&str>, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    if let Some(label) = label {
        Pattern::new(&name(label)).fill(at, &mut bytes);
    }
    bytes
}

/// All that a walk knows of: the contents, and zeros.
fn known() -> [Option<&'static str>; 5] {
    [Some(OWN[0]), Some(OWN[1]), Some(OWN[2]), Some(OTHER), None]
}

/// A file of pieces: how long, and of which of [`known`].
fn files() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![1..40_usize, 1..700_usize, Just(512), Just(1024)];
    // Mostly what is right, or nothing could be said of what is accepted.
    let which = prop_oneof![6 => 0..3_usize, 1 => Just(3_usize), 2 => Just(4_usize)];
    prop::collection::vec((len, which), 1..8).prop_map(|pieces| {
        let mut bytes = Vec::new();
        for (len, which) in pieces {
            bytes.extend(stream(known()[which], bytes.len() as u64, len));
        }
        bytes
    })
}

/// Describes a file: whole sectors of one content by that, every other byte by any content that has it there. At each
/// byte `choice` says which, and 0 says to go on as before where that is right too.
fn describe(bytes: &[u8], choices: &[usize]) -> Vec<Extent> {
    let streams = known().map(|label| stream(label, 0, bytes.len()));
    let mut names: Vec<usize> = Vec::new();
    for (sector, piece) in bytes.chunks(SECTOR).enumerate() {
        let start = sector * SECTOR;
        let proven = <&[u8; SECTOR]>::try_from(piece).ok().and_then(|piece| {
            let zero = piece.iter().all(|byte| *byte == 0);
            let whole = (0..4).find(|which| streams[*which][start..start + SECTOR] == *piece);
            assert_eq!(whole.is_some(), identify_raw(piece).is_some());
            if zero { Some(4) } else { whole }
        });
        for (at, byte) in piece.iter().enumerate() {
            let fitting: Vec<usize> = (0..5)
                .filter(|which| streams[*which][start + at] == *byte)
                .collect();
            let choice = choices[(start + at) % choices.len()];
            let last = names.last().copied().filter(|last| fitting.contains(last));
            names.push(match (proven, last) {
                (Some(proven), _) => proven,
                (None, Some(last)) if choice == 0 => last,
                _ => fitting[choice % fitting.len()],
            });
        }
    }
    let mut extents: Vec<Extent> = Vec::new();
    let mut start = 0;
    for run in names.chunk_by(|one, other| one == other) {
        let (offset, len) = (start as u64, run.len() as u64);
        extents.push(match known()[run[0]] {
            Some(label) => crate::trees::content(label, offset, len),
            None => crate::trees::at(offset, len, Source::Zeros),
        });
        start += run.len();
    }
    extents
}

/// An expectation on `f`: as YAML, the range that it is about, and the contents of which each byte may be any.
#[derive(Clone, Debug)]
struct Expected {
    yaml: String,
    range: std::ops::Range<u64>,
    accepted: Vec<Option<&'static str>>,
}

fn expected(kind: u8, first: usize, second: usize, offset: u64, len: u64) -> Expected {
    let text = |which: usize| known()[which].unwrap_or("zeros");
    let pair = vec![known()[first], known()[second]];
    let (yaml, accepted) = match kind {
        0 => (
            format!(
                "content: {{path: f, is: {}, offset: {offset}, len: {len}}}",
                text(first)
            ),
            vec![known()[first]],
        ),
        1 if first == second => (
            format!(
                "content: {{path: f, mix_of: [{}], offset: {offset}, len: {len}}}",
                text(first)
            ),
            vec![known()[first]],
        ),
        1 => (
            format!(
                "content: {{path: f, mix_of: [{}, {}], offset: {offset}, len: {len}}}",
                text(first),
                text(second)
            ),
            pair,
        ),
        2 => (
            "no_old_data: {path: f, than: f@2}".to_owned(),
            // Whatever is not of f@0 or f@1.
            vec![Some(OWN[2]), Some(OTHER), None],
        ),
        _ => (
            "no_foreign_data: f".to_owned(),
            vec![Some(OWN[0]), Some(OWN[1]), Some(OWN[2]), None],
        ),
    };
    let range = if kind > 1 {
        0..u64::MAX
    } else {
        offset..offset + len
    };
    Expected {
        yaml,
        range,
        accepted,
    }
}

fn variant(expect: &str) -> Variant {
    let text = format!(
        "
format: 1
name: borders
filesystem: {{type: ext4, size: 64MiB}}
workload:
  - write: {{path: g, len: 4KiB, content: g@0}}
  - write: {{path: f, len: 4KiB, content: f@0}}
  - write: {{path: f, len: 4KiB, content: f@1}}
  - write: {{path: f, len: 4KiB, content: f@2}}
expect:
  - {expect}
"
    );
    let scenario = Scenario::parse("borders.yaml", &text).unwrap_or_else(|e| panic!("{e}"));
    scenario.variants()[0].clone()
}

fn judged(expect: &str, extents: Vec<Extent>) -> Vec<ViolationKind> {
    let history = History::from_marks(&[] as &[Mark]);
    let recovery = crate::trees::recovery(vec![crate::trees::file("f", extents)]);
    let judgement = judge(&variant(expect), &history, &recovery);
    assert_eq!(judgement.doubts, Vec::<String>::new());
    judgement.findings.iter().map(|finding| finding.kind).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// A finding exactly where some byte is none of those that are accepted, whatever the walk called it.
    #[test]
    fn bytes_decide_and_not_what_they_are_called(
        bytes in files(),
        choices in prop::collection::vec(prop_oneof![3 => Just(0_usize), 1 => 0..5_usize], 1..300),
        kind in 0..4_u8, first in 0..5_usize, second in 0..5_usize,
        offset in 0..900_u64, len in 1..900_u64,
    ) {
        let expected = expected(kind, first, second, offset, len);
        let streams: Vec<Vec<u8>> = expected.accepted.iter().map(|label| stream(*label, 0, bytes.len())).collect();
        let right = bytes.iter().enumerate().all(|(at, byte)| {
            !expected.range.contains(&(at as u64)) || streams.iter().any(|stream| stream[at] == *byte)
        });
        let long_enough = kind > 1 || bytes.len() as u64 >= expected.range.end;
        let extents = describe(&bytes, &choices);
        let findings = judged(&expected.yaml, extents.clone());
        prop_assert_eq!(findings.is_empty(), right && long_enough, "{:?}: {:?} in {:?}", expected, findings, extents);
    }
}

/// The magic and the offset are the same in every content: a border there is a matter of taste.
#[test]
fn a_border_in_the_shared_part_of_a_header_is_on_either_side() {
    let expect = "content: {path: f, is: f@1, offset: 0, len: 16}";
    let of = |split: u64| {
        vec![
            crate::trees::content("f@1", 0, split),
            crate::trees::content("g@0", split, 512 - split),
        ]
    };
    for split in [8, 12, 16] {
        assert_eq!(judged(expect, of(split)), [], "{split}");
    }
    assert_eq!(judged(expect, of(7)), [ViolationKind::StaleData]);
}
