//! What the fuzzer for logs started from and found, as an ordinary test; and random bytes of the same kind.

#[path = "../../../fuzz/check.rs"]
#[allow(unreachable_pub)]
mod check;

use std::path::Path;

use super::naive::scripts;
use proptest::prelude::*;

#[test]
fn everything_in_the_corpus_holds() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/log");
    let mut count = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        check::check(&bytes);
        count += 1;
    }
    assert!(count >= 4, "the corpus has {count} files");
}

/// Inputs as the fuzz target splits them.
fn input(options: u8, log: &[u8], sidecar: &[u8]) -> Vec<u8> {
    let padded = log.len().next_multiple_of(256);
    let mut bytes = vec![options, (padded / 256) as u8];
    bytes.extend_from_slice(log);
    bytes.resize(padded + 2, 0);
    bytes.extend_from_slice(sidecar);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn damaged_logs_hold(
        script in scripts(14),
        options in any::<u8>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let (log, sidecar) = script.record(true);
        let log = &log[..log.len().min(255 * 256)];
        let mut bytes = input(options, log, &sidecar);
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        check::check(&bytes);
    }
}
