// What must hold for any bytes that an NBD client sends. Shared by the fuzz target and the test over its corpus.

use std::sync::Arc;

use coldcut::disk::converse;
use coldcut_core::crash::index::{Sources, replay};
use coldcut_core::recording::block::Zeros;
use coldcut_core::recording::log::{LoadOptions, WriteLog};

use super::model::{self, Said};

/// Bytes of the disk: small, because each request can make the server answer with all of it.
pub const SIZE: u64 = 32 << 10;

/// The first byte says in which pieces the rest arrives. What the model says of the rest.
pub fn check(input: &[u8]) -> Said {
    let Some((piece, input)) = input.split_first() else {
        return Said::default();
    };
    let whole = converse(input, input.len(), SIZE).expect("no client breaks the disk");
    let piece = 1 + usize::from(*piece) % 61;
    let pieces = converse(input, piece, SIZE).expect("no client breaks the disk");
    assert!(
        whole == pieces,
        "what the server does depends on how the bytes arrive (in pieces of {piece})"
    );

    let said = model::said(input, SIZE as usize);
    said.compare(&whole.replies)
        .expect("the server says what the protocol says");
    assert_eq!(whole.closed, said.closed, "whether the server closes");
    assert!(whole.content == said.disk, "the disk holds something else");

    // What was recorded gives the same disk.
    let (log, sidecar) = whole.recording;
    let loaded = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).expect("a recording loads");
    assert_eq!(loaded.warnings, [], "a finished recording is beyond doubt");
    assert_eq!(
        loaded.log.request_count() as usize,
        said.changes,
        "every change is recorded, and nothing else"
    );
    let sources = Sources {
        base: Arc::new(Zeros { size: SIZE }),
        log: Arc::new(log),
        sidecar: Some(Arc::new(sidecar)),
    };
    let mut replayed = vec![0; SIZE as usize];
    replay(&loaded.log, &sources, loaded.log.end(), &mut replayed).expect("a recording can be replayed");
    assert!(replayed == said.disk, "the recording gives another disk");
    said
}
