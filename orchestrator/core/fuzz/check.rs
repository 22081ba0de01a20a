// What must hold for any bytes given as a log and a sidecar. Shared by the fuzz target and the test over its corpus.

use std::io::Cursor;
use std::sync::Arc;

use coldcut_core::crash::export::{LogExport, export_log};
use coldcut_core::crash::index::{BlockIndex, DigestCursor, Sources};
use coldcut_core::crash::plan::CrashSpec;
use coldcut_core::crash::state::{PlanKind, StateId};
use coldcut_core::recording::block::{ReadAt, Zeros};
use coldcut_core::recording::log::{Cut, LoadOptions, Order, PastEnd, WriteLog};

/// Splits the input: two bytes say how, then the log, then the sidecar.
pub fn check(input: &[u8]) {
    let Some((index, sources)) = load(input) else {
        return;
    };
    let log = index.log();
    for cut in 0..=log.end().0.min(200) {
        let at = log.durability(Cut(cut)).expect("every cut up to the end exists");
        assert!(at.flushed.most() <= at.completed);
    }
    check_states(&index, &sources);
    check_export(log, &sources);
}

/// The log that the input is, if it is one.
fn load(input: &[u8]) -> Option<(Arc<BlockIndex>, Sources)> {
    let [options, split, rest @ ..] = input else {
        return None;
    };
    let (log, sidecar) = if options & 1 == 0 {
        (rest, None)
    } else {
        let at = (usize::from(*split) * 256).min(rest.len());
        let (log, sidecar) = rest.split_at(at);
        (log, Some(sidecar.to_vec()))
    };
    let log = log.to_vec();
    let options = LoadOptions {
        device_size: (options & 2 != 0).then_some(1 << 20),
        order: (options & 4 != 0).then_some(Order::Completion),
        past_end: if options & 8 == 0 {
            PastEnd::Auto
        } else {
            PastEnd::Read
        },
    };
    let beside = sidecar.as_ref().map(|bytes| bytes as &dyn ReadAt);
    let loaded = WriteLog::load(&log, beside, &options).ok()?;
    let index = Arc::new(BlockIndex::build(Arc::new(loaded.log)));
    let size = index.log().geometry().device_size;
    let sources = Sources {
        base: Arc::new(Zeros { size }),
        log: Arc::new(log),
        sidecar: sidecar.map(|bytes| Arc::new(bytes) as Arc<dyn ReadAt>),
    };
    Some((index, sources))
}

/// Every planned state has a name, an image and a digest.
fn check_states(index: &Arc<BlockIndex>, sources: &Sources) {
    let size = index.log().geometry().device_size;
    let spec = CrashSpec {
        plans: vec![
            PlanKind::Barriers,
            PlanKind::Writes,
            PlanKind::Reorder,
            PlanKind::Torn,
            PlanKind::Combinations,
        ],
        budget: Some(8),
        per_cut: 8,
        ..CrashSpec::default()
    };
    // Digests of huge ranges are refused; small devices get the whole comparison.
    let small = size <= 1 << 20;
    let mut cursor = DigestCursor::new(Arc::clone(index), sources.clone())
        .ok()
        .filter(|_| small);
    let states = spec.states(index.log()).expect("these plans need nothing");
    for state in states {
        let id: StateId = state.id().as_str().parse().expect("names come back");
        assert_eq!(id.state(), state);
        let image = index.image(&state, sources).expect("every planned state is real");
        let mut buffer = vec![0; size.min(1 << 16) as usize];
        image.read_at(0, &mut buffer).expect("every state can be read");
        image
            .read_at(size - buffer.len() as u64, &mut buffer)
            .expect("up to its end");
        if let Some(cursor) = &mut cursor {
            cursor.digest(&state).expect("every state has a digest");
        }
    }
}

/// Out and back again: the same entries.
fn check_export(log: &WriteLog, sources: &Sources) {
    let stored: u64 = log
        .requests()
        .map(|request| request.io.len)
        .fold(0, u64::saturating_add);
    if stored > 1 << 20 {
        return;
    }
    let what = LogExport {
        order: log.geometry().order,
        ..LogExport::default()
    };
    let mut out = Cursor::new(Vec::new());
    export_log(log, sources, &what, &mut out).expect("a log that loads can be exported");
    let again = WriteLog::load(&out.into_inner(), None, &LoadOptions::default()).expect("and loads again");
    assert_eq!(again.log.geometry().device_size, log.geometry().device_size);
}
