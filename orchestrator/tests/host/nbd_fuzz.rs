//! What the fuzzer for the NBD server starts from and has found, as an ordinary test; then random clients, a bounded
//! number of them: 4096, or as many as `PROPTEST_CASES` says. `cargo test --test host nbd_fuzz -- --nocapture` shows counts.

#[path = "../../fuzz/model.rs"]
#[allow(unreachable_pub)]
mod model;

#[path = "../../fuzz/check.rs"]
#[allow(unreachable_pub)]
mod check;

use std::cell::Cell;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

/// What the inputs of a run came to.
#[derive(Default)]
struct Tally {
    inputs: Cell<usize>,
    /// Inputs that got through the handshake to a request.
    with_requests: Cell<usize>,
    requests: Cell<usize>,
    changes: Cell<usize>,
    closed: Cell<usize>,
}

impl Tally {
    fn check(&self, input: &[u8]) {
        let said = check::check(input);
        let add = |cell: &Cell<usize>, count| cell.set(cell.get() + count);
        add(&self.inputs, 1);
        add(&self.with_requests, usize::from(said.requests > 0));
        add(&self.requests, said.requests);
        add(&self.changes, said.changes);
        add(&self.closed, usize::from(said.closed));
    }

    fn print(&self, what: &str) {
        println!(
            "{what}: {} inputs, {} of them with requests, {} hung up on; {} requests, {} of them changes",
            self.inputs.get(),
            self.with_requests.get(),
            self.closed.get(),
            self.requests.get(),
            self.changes.get()
        );
    }
}

#[test]
fn everything_in_the_corpus_holds() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/nbd");
    let tally = Tally::default();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        tally.check(&std::fs::read(path).unwrap());
    }
    tally.print("corpus");
    assert!(tally.inputs.get() >= 26, "files are missing");
    assert!(tally.requests.get() >= 80 && tally.changes.get() >= 20 && tally.closed.get() >= 10);
}

/// Mostly a sensible number, sometimes any.
fn mostly<T: Arbitrary + Clone + 'static>(
    sensible: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = T> {
    prop_oneof![15 => sensible, 1 => any::<T>()]
}

fn option() -> impl Strategy<Value = Vec<u8>> {
    let data = prop_oneof![
        Just(vec![]),
        Just(vec![0, 0, 0, 0, 0, 0]),
        Just(vec![0, 0, 0, 0, 0, 1, 0, 3]),
        prop::collection::vec(any::<u8>(), 0..24),
    ];
    (
        mostly(Just(0x4948_4156_454F_5054_u64)),
        mostly(prop_oneof![Just(3_u32), Just(6), 0..12_u32]),
        data,
    )
        .prop_map(|(magic, kind, data)| {
            let len = data.len() as u32;
            [
                &magic.to_be_bytes()[..],
                &kind.to_be_bytes(),
                &len.to_be_bytes(),
                &data,
            ]
            .concat()
        })
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    (
        prop_oneof![99 => Just(0x2560_9513_u32), 1 => any::<u32>()],
        mostly(0..4_u16),
        mostly(prop_oneof![
            Just(0_u16),
            Just(1),
            Just(3),
            Just(4),
            Just(6),
            3..9_u16
        ]),
        any::<u64>(),
        mostly((0..68_u64).prop_map(|sector| sector * 512)),
        mostly((0..12_u32).prop_map(|sectors| sectors * 512)),
        any::<u8>(),
    )
        .prop_map(|(magic, flags, kind, cookie, offset, len, byte)| {
            let (offset, len) = if kind == 3 && offset % 1024 == 0 {
                (0, 0)
            } else {
                (offset, len)
            };
            let mut bytes = magic.to_be_bytes().to_vec();
            bytes.extend(flags.to_be_bytes());
            bytes.extend(kind.to_be_bytes());
            bytes.extend(cookie.to_be_bytes());
            bytes.extend(offset.to_be_bytes());
            bytes.extend(len.to_be_bytes());
            if kind == 1 {
                bytes.resize(bytes.len() + len.min(6144) as usize, byte);
            }
            bytes
        })
}

/// What a client says that mostly keeps to the protocol, with some bytes changed and perhaps cut off.
fn client() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        8 => Just(vec![0, 0, 0, 1, 0, 0, 0, 0]),
        8 => Just(vec![0, 0, 0, 7, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0]),
        1 => Just(vec![]),
    ]
    .prop_map(|rest| {
        if rest.is_empty() {
            rest
        } else {
            [&b"IHAVEOPT"[..], &rest].concat()
        }
    });
    (
        any::<u8>(),
        mostly(prop_oneof![Just(3_u32), Just(3), 0..4_u32]),
        prop::collection::vec(option(), 0..3),
        start,
        prop::collection::vec(request(), 0..32),
        prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec((any::<Index>(), any::<u8>()), 1..4)],
        prop_oneof![7 => Just(None), 1 => any::<Index>().prop_map(Some)],
    )
        .prop_map(|(piece, flags, options, start, requests, edits, end)| {
            let mut bytes = vec![piece];
            bytes.extend(flags.to_be_bytes());
            bytes.extend(options.concat());
            bytes.extend(start);
            bytes.extend(requests.concat());
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(end) = end {
                bytes.truncate(end.index(bytes.len()));
            }
            bytes
        })
}

#[test]
fn random_clients() {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    let cases = wanted.and_then(|text| text.parse().ok()).unwrap_or(4096);
    let config = Config {
        cases,
        // What is found belongs into the corpus, where the fuzzer starts from it.
        failure_persistence: None,
        ..Config::default()
    };
    let tally = Tally::default();
    let clients = prop_oneof![19 => client(), 1 => prop::collection::vec(any::<u8>(), 0..2048)];
    TestRunner::new(config)
        .run(&clients, |input| {
            tally.check(&input);
            Ok(())
        })
        .unwrap();
    tally.print("random clients");
    assert!(
        tally.with_requests.get() * 2 > tally.inputs.get(),
        "too few inputs got through the handshake"
    );
}

/// The model can tell a wrong answer: each byte counts, and so does the length.
#[test]
fn the_model_notices_other_answers() {
    let input = b"\0\0\0\x03IHAVEOPT\0\0\0\x01\0\0\0\0";
    let said = model::said(input, check::SIZE as usize);
    let answer = coldcut::disk::converse(input, input.len(), check::SIZE).unwrap();
    said.compare(&answer.replies).unwrap();
    for at in 0..answer.replies.len() {
        let mut other = answer.replies.clone();
        other[at] ^= 1;
        assert!(said.compare(&other).is_err(), "byte {at}");
    }
    assert!(said.compare(&answer.replies[..27]).is_err());
    let longer = [answer.replies.as_slice(), &[0]].concat();
    assert!(said.compare(&longer).is_err());
}
