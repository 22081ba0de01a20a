//! Self-describing data proves itself, and only itself.

use std::collections::HashSet;

use coldcut_wire::PatternName;
use coldcut_wire::pattern::*;
use proptest::prelude::*;

fn name(file: &str, generation: &str) -> PatternName {
    PatternName {
        file: file.to_owned(),
        generation: generation.to_owned(),
    }
}

fn names() -> impl Strategy<Value = PatternName> {
    ("[a-z./é-]{0,40}", "[0-9a-z]{0,8}").prop_map(|(file, generation)| name(&file, &generation))
}

proptest! {
    #[test]
    fn every_sector_identifies_itself(name in names(), index in 0_u64..1 << 50) {
        let content = Pattern::new(&name);
        let header = identify(&content.sector(index)).unwrap();
        prop_assert_eq!(header.id, pattern_id(&name));
        prop_assert_eq!(header.offset, index * SECTOR as u64);
        let full = label(&name);
        if full.len() <= LABEL {
            prop_assert_eq!(header.label, full);
        } else {
            let whole = header.label.trim_end_matches('\u{fffd}');
            prop_assert!(full.starts_with(whole) && whole.len() <= LABEL && whole.len() + 4 > LABEL);
        }
    }

    /// Whatever happens within one 8-byte word, the checksum or the magic sees it.
    #[test]
    fn a_changed_word_is_seen(name in names(), index in 0_u64..1000, word in 0_usize..64, change in 1_u64..) {
        let mut sector = Pattern::new(&name).sector(index);
        let bytes = &mut sector[word * 8..][..8];
        let value = u64::from_le_bytes((&*bytes).try_into().unwrap()) ^ change;
        bytes.copy_from_slice(&value.to_le_bytes());
        prop_assert_eq!(identify(&sector), None);
    }

    /// A sector torn anywhere into two generations is neither.
    #[test]
    fn a_torn_sector_is_seen(index in 0_u64..1000, tear in 1_usize..511) {
        let (old, new) = (Pattern::new(&name("f", "0")).sector(index), Pattern::new(&name("f", "1")).sector(index));
        let mut torn = old;
        torn[..tear].copy_from_slice(&new[..tear]);
        prop_assert!(torn == old || torn == new || identify(&torn).is_none());
    }

    #[test]
    fn random_bytes_are_nobodys(bytes in proptest::collection::vec(any::<u8>(), 512)) {
        prop_assert_eq!(identify(&bytes.try_into().unwrap()), None);
    }

    #[test]
    fn filling_in_pieces_is_filling_at_once(offset in 0_u64..5000, cuts in proptest::collection::vec(0_usize..700, 1..6)) {
        let content = Pattern::new(&name("f", "0"));
        let mut whole = vec![0; cuts.iter().sum()];
        content.fill(offset, &mut whole);
        let mut at = 0;
        for len in cuts {
            let mut piece = vec![0; len];
            content.fill(offset + at as u64, &mut piece);
            prop_assert_eq!(&whole[at..at + len], &piece[..]);
            at += len;
        }
    }

    #[test]
    fn agreement_is_equality_of_bytes(at in 0_u64..2000, len in 0_usize..20) {
        let (a, b) = (Pattern::new(&name("f", "0")), Pattern::new(&name("f", "1")));
        let (mut left, mut right) = (vec![0; len], vec![0; len]);
        a.fill(at, &mut left);
        b.fill(at, &mut right);
        prop_assert_eq!(a.agrees(&b, at, len as u64), left == right);
        prop_assert!(a.agrees(&a, at, len as u64));
        prop_assert_eq!(a.agrees_with_zeros(at, len as u64), left.iter().all(|b| *b == 0));
    }
}

#[test]
fn the_end_of_the_stream_does_not_panic() {
    let content = Pattern::new(&name("f", "0"));
    let mut buffer = [0; 1500];
    content.fill(u64::MAX - 700, &mut buffer);
    assert!(content.agrees(&content.clone(), u64::MAX - 700, u64::MAX));
    assert!(!content.agrees(&Pattern::new(&name("f", "1")), u64::MAX - 700, u64::MAX));
}

#[test]
fn identities_and_sectors_differ() {
    let mut ids = HashSet::new();
    let mut sums = HashSet::new();
    for file in 0..100 {
        for generation in 0..100 {
            let name = name(&format!("file{file}"), &generation.to_string());
            assert!(ids.insert(pattern_id(&name)));
            let sector = Pattern::new(&name).sector(file * generation);
            assert!(sums.insert(sector[24..32].to_vec()));
        }
    }
    // The separator counts.
    assert_ne!(pattern_id(&name("a", "bc")), pattern_id(&name("ab", "c")));
}

/// The format is written down in the module's documentation; logs and images of older runs carry it.
#[test]
fn the_format_is_fixed() {
    let sector = Pattern::new(&name("config", "1")).sector(3);
    let word = |at: usize| u64::from_be_bytes(sector[at..at + 8].try_into().unwrap());
    assert_eq!(&sector[8..16], b"COLDCUT\x01");
    assert_eq!(sector[16..24], 1536_u64.to_le_bytes());
    assert_eq!(&sector[32..41], b"config@1\0");
    assert_eq!(word(0), 0x66db_9cd7_0d1b_48f2);
    assert_eq!(word(24), 0x33c3_8262_c00c_d59e);
    assert_eq!(
        (word(496), word(504)),
        (0x124e_312a_ee24_f7e7, 0x7b4f_eb44_a3c1_2ac8)
    );
}

#[test]
fn a_claim_needs_a_header_and_the_magic() {
    let sector = Pattern::new(&name("f", "0")).sector(2);
    let header = claim(&sector[..HEADER]).unwrap();
    assert_eq!((header.id, header.offset), (pattern_id(&name("f", "0")), 1024));
    assert_eq!(label_text(&header.label), "f@0");
    assert_eq!(claim(&sector[..HEADER - 1]), None);
    assert_eq!(claim(&[0; 512]), None);
}
