//! The classifier against a naive idea of what a file's bytes are.

use proptest::prelude::*;

use super::*;

fn name(file: &str, generation: &str) -> PatternName {
    PatternName {
        file: file.to_owned(),
        generation: generation.to_owned(),
    }
}

fn bytes(content: &PatternName, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Pattern::new(content).fill(at, &mut bytes);
    bytes
}

/// (offset, length, source in short: `label+at`, `zeros`, `garbage` or `errno N`).
fn describe(data: &[u8], known: &[PatternName]) -> Vec<(u64, u64, String)> {
    let candidates = Candidates::new(known);
    let mut classifier = Classifier::new(&candidates);
    classifier.data(data).unwrap();
    short(classifier.finish())
}

fn short(extents: Vec<Extent>) -> Vec<(u64, u64, String)> {
    let source = |source| match source {
        Source::Zeros => "zeros".to_owned(),
        Source::Garbage => "garbage".to_owned(),
        Source::Content { at, label, .. } => format!("{label}+{at}"),
        Source::Unreadable { errno } => format!("errno {errno}"),
    };
    extents
        .into_iter()
        .map(|e| (e.offset, e.len, source(e.source)))
        .collect()
}

fn is(offset: u64, len: u64, source: &str) -> (u64, u64, String) {
    (offset, len, source.to_owned())
}

#[test]
fn whole_sectors_need_no_candidates() {
    let mut data = bytes(&name("a", "0"), 1024, 1024);
    data.extend([0; 512]);
    data.extend(bytes(&name("b", "7"), 0, 512));
    data.extend([0xaa; 512]);
    let expected = [
        is(0, 1024, "a@0+1024"),
        is(1024, 512, "zeros"),
        is(1536, 512, "b@7+0"),
        is(2048, 512, "garbage"),
    ];
    assert_eq!(describe(&data, &[]), expected);
}

#[test]
fn a_long_label_is_given_in_full_when_known() {
    let long = name("a-name-that-is-longer-than-the-label", "generation");
    let data = bytes(&long, 0, 512);
    assert_eq!(
        describe(&data, &[long]),
        [is(0, 512, "a-name-that-is-longer-than-the-label@generation+0")]
    );
    assert_eq!(
        describe(&data, &[]),
        [is(0, 512, "a-name-that-is-longer-than-the-l+0")]
    );
}

#[test]
fn borders_inside_a_sector_are_found() {
    let (old, new) = (name("a", "0"), name("a", "1"));
    let mut data = bytes(&old, 0, 1024);
    data[100..612].copy_from_slice(&bytes(&new, 100, 512));
    let found = describe(&data, &[old, new]);
    let labels: Vec<&str> = found.iter().map(|(_, _, source)| source.as_str()).collect();
    assert_eq!(
        labels,
        [
            "a@0+0",
            &format!("a@1+{}", found[1].0),
            &format!("a@0+{}", found[2].0)
        ]
    );
    assert!(
        found[1].0.abs_diff(100) <= 3 && found[2].0.abs_diff(612) <= 3,
        "{found:?}"
    );
}

#[test]
fn a_torn_header_does_not_hide_the_rest() {
    let a = name("a", "0");
    let mut data = bytes(&a, 512, 512);
    data[24] ^= 1; // the checksum itself
    assert_eq!(
        describe(&data, &[]),
        [is(0, 24, "a@0+512"), is(24, 1, "garbage"), is(25, 487, "a@0+537")]
    );
    // Out of place and with its header gone, nothing proves the rest.
    data[..64].fill(0x55);
    assert_eq!(describe(&data, &[a]), [is(0, 512, "garbage")]);
}

#[test]
fn short_files_say_whose_they_are() {
    let known = [name("a", "0"), name("a", "1"), name("b", "0")];
    for content in &known {
        for len in [1, 2, 3, 7, 8, 12, 20, 30, 63, 64, 65, 400, 511] {
            let label = format!("{}+0", label(content));
            assert_eq!(
                describe(&bytes(content, 0, len), &known),
                [is(0, len as u64, &label)],
                "{len}"
            );
        }
    }
    // A file's last piece, out of place: its header leads to it.
    for len in [24, 40, 64, 300] {
        let data = bytes(&known[0], 1024, len);
        assert_eq!(describe(&data, &known), [is(0, len as u64, "a@0+1024")], "{len}");
    }
    assert_eq!(
        describe(&bytes(&known[0], 1024, 300), &[]),
        [is(0, 300, "a@0+1024")]
    );
    assert_eq!(describe(b"abc", &known), [is(0, 3, "garbage")]);
}

#[test]
fn tiny_records_are_told_apart() {
    let known: Vec<_> = (0..4).map(|i| name("log", &i.to_string())).collect();
    let mut data = bytes(&known[3], 0, 600);
    for (i, content) in known.iter().enumerate().take(3) {
        let at = 300 + 5 * i;
        data[at..at + 5].copy_from_slice(&bytes(content, at as u64, 5));
    }
    let found = describe(&data, &known);
    assert!(
        found.iter().all(|(_, _, source)| source.starts_with("log@")),
        "{found:?}"
    );
    let covers = |at: u64, label: &str| {
        found
            .iter()
            .any(|(offset, len, source)| source.starts_with(label) && (*offset..offset + len).contains(&at))
    };
    assert!(
        covers(302, "log@0") && covers(307, "log@1") && covers(312, "log@2"),
        "{found:?}"
    );
}

#[test]
fn foreign_text_between_is_garbage() {
    let a = name("a", "0");
    let mut data = bytes(&a, 0, 512);
    data[200..220].copy_from_slice(b"twenty bytes of text");
    assert_eq!(
        describe(&data, &[a]),
        [
            is(0, 200, "a@0+0"),
            is(200, 20, "garbage"),
            is(220, 292, "a@0+220")
        ]
    );
}

#[test]
fn a_header_that_claims_a_crooked_offset_is_not_believed() {
    let mut data = bytes(&name("a", "0"), 0, 512);
    data[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    let nothing_named = |data: &[u8]| {
        let found = describe(data, &[]);
        found
            .iter()
            .all(|(_, _, source)| source == "garbage" || source == "zeros")
    };
    assert!(nothing_named(&data));
    data[16..24].copy_from_slice(&(u64::MAX - 511).to_le_bytes());
    assert!(nothing_named(&data));
    // Straight, and still not true.
    data[16..24].copy_from_slice(&512_u64.to_le_bytes());
    assert!(nothing_named(&data));
}

#[test]
fn a_header_of_two_halves_names_no_third() {
    let (a, b) = (name("a", "0"), name("b", "0"));
    let mut data = bytes(&a, 0, 512);
    data[4..512].copy_from_slice(&bytes(&b, 4, 508));
    for known in [&[a, b.clone()][..], &[b], &[]] {
        let found = describe(&data, known);
        let bad = found
            .iter()
            .find(|(_, _, source)| source.contains('@') && !source.starts_with("b@0+"));
        assert!(
            bad.is_none_or(|(at, len, source)| (*at, *len) == (0, 4) && source == "a@0+0"),
            "{found:?}"
        );
    }
}

#[test]
fn extents_are_bounded() {
    let candidates = Candidates::default();
    let mut classifier = Classifier::new(&candidates);
    let mut pair = vec![0xaa; 512];
    pair.extend([0; 512]);
    for _ in 0..MAX_EXTENTS / 2 {
        classifier.data(&pair).unwrap();
    }
    assert_eq!(classifier.data(&pair), Err(TooFragmented));
}

#[test]
fn holes_and_errors_are_extents() {
    let candidates = Candidates::default();
    let mut classifier = Classifier::new(&candidates);
    classifier.hole(1 << 40).unwrap();
    classifier.data(&[0; 512]).unwrap();
    classifier.unreadable(4096, 5).unwrap();
    classifier.unreadable(4096, 5).unwrap();
    let zeros = (1 << 40) + 512;
    assert_eq!(
        short(classifier.finish()),
        [is(0, zeros, "zeros"), is(zeros, 8192, "errno 5")]
    );
}

/// Writes of known contents over one another, some bytes corrupted, and what each byte was last written with.
fn files() -> impl Strategy<Value = (Vec<(u8, usize, usize)>, Vec<usize>, usize)> {
    let write = (0_u8..5, 0_usize..4000, 1_usize..1500);
    (
        proptest::collection::vec(write, 0..6),
        proptest::collection::vec(0_usize..4000, 0..2),
        1_usize..4100,
    )
}

proptest! {
    /// Whatever is named has those bytes, nothing is lost, and garbage is named only where bytes were spoilt or a
    /// write left a single byte.
    #[test]
    fn what_is_named_is_true((writes, spoilt, size) in files()) {
        let known: Vec<_> = (0..5).map(|i| name("f", &i.to_string())).collect();
        let mut data = vec![0; size];
        for (which, at, len) in writes {
            let end = (at + len).min(size);
            if at < end {
                let source = &known[usize::from(which)];
                data[at..end].copy_from_slice(&bytes(source, at as u64, end - at));
            }
        }
        let clean = data.clone();
        for at in &spoilt {
            if let Some(byte) = data.get_mut(*at) {
                *byte ^= 0x5a;
            }
        }
        let candidates = Candidates::new(&known);
        let mut classifier = Classifier::new(&candidates);
        classifier.data(&data).unwrap();
        let mut next = 0;
        for extent in classifier.finish() {
            prop_assert_eq!(extent.offset, next);
            next += extent.len;
            let range = extent.offset as usize..next as usize;
            match &extent.source {
                Source::Zeros => prop_assert!(data[range].iter().all(|b| *b == 0)),
                Source::Content { id, at, .. } => {
                    let source = known.iter().find(|n| coldcut_wire::pattern::pattern_id(n) == *id).unwrap();
                    prop_assert_eq!(&data[range.clone()], &bytes(source, *at, range.len())[..]);
                }
                Source::Garbage => {
                    let touched = data[range.clone()] != clean[range.clone()];
                    prop_assert!(touched || range.len() < 32, "clean bytes called garbage at {:?}", range);
                }
                Source::Unreadable { .. } => prop_assert!(false, "nothing was unreadable"),
            }
        }
        prop_assert_eq!(next, size as u64);
    }

    /// Any bytes at all are described without a panic and without a gap.
    #[test]
    fn any_bytes_are_described(data in proptest::collection::vec(any::<u8>(), 0..1400)) {
        let found = describe(&data, &[name("f", "0")]);
        prop_assert_eq!(found.iter().map(|(_, len, _)| *len).sum::<u64>(), data.len() as u64);
    }
}
