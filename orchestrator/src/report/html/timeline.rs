//! A write log as a picture: when what was written to where, and what of it a power cut took.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::path::Path;

use coldcut_core::crash::state::{CrashState, StateId};
use coldcut_core::outcome::cell::CellResult;
use coldcut_core::outcome::place::Place;
use coldcut_core::recording::io::IoKind;
use coldcut_core::recording::log::{Event, LoadOptions, Request, RequestId, WriteLog};

use crate::disk::FileImage;
use crate::report::mark_text;
use crate::report::xml::escaped;
use crate::results::inspect_cell;

/// The picture's width, in units of the SVG.
const WIDTH: f64 = 900.0;
/// How high it gets.
const MOST_HEIGHT: f64 = 180.0;
/// How high a line of it gets.
const MOST_ROW: f64 = 12.0;
/// Above it, the steps.
const TOP: f64 = 14.0;
/// Bytes that share a line of the picture.
const CHUNK: u64 = 16 << 10;
/// Logs with more events are not drawn.
const MOST_EVENTS: u32 = 200_000;
/// Steps whose marks are drawn.
const MOST_MARKS: usize = 200;

/// What became of a write in a crash state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Later,
    Durable,
    Kept,
    Lost,
}

impl Fate {
    fn class(self) -> &'static str {
        match self {
            Self::Later => "later",
            Self::Durable => "durable",
            Self::Kept => "kept",
            Self::Lost => "lost",
        }
    }
}

/// The picture of a cell's write log, with its caption; `None` where there is no log that can be read.
pub(super) fn of_cell(run: &Path, cell: &CellResult) -> Option<String> {
    let dir = inspect_cell(run, &cell.cell.id).ok()?;
    let log = FileImage::open(&dir.join("write.log")).ok()?;
    let sidecar = FileImage::open(&dir.join("write.log.order")).ok();
    let sidecar = sidecar.as_ref().map(|file| file as _);
    let loaded = WriteLog::load(&log, sidecar, &LoadOptions::default()).ok()?;
    let states = cell
        .violations
        .iter()
        .filter_map(|violation| match &violation.state {
            Place::CrashState(id) => Some(id.parse::<StateId>().ok()?.state()),
            Place::WithoutCrash => None,
        });
    // Of a state whose recovery was cut off too, the cut of this log.
    let first = states.into_iter().next().map(|mut state: CrashState| {
        while let Some((outer, _)) = state.before_last_cut() {
            state = outer;
        }
        state
    });
    draw(&loaded.log, first.as_ref())
}

/// Draws a log; with a crash state, what became of each write in it.
fn draw(log: &WriteLog, state: Option<&CrashState>) -> Option<String> {
    let end = log.end().0;
    if end == 0 || end > MOST_EVENTS {
        return None;
    }
    let fates = state.and_then(|state| fates(log, state));
    let x = |event: u32| f64::from(event) / f64::from(end) * WIDTH;
    let rows = rows(log);
    let height = (rows.len() as f64 * MOST_ROW).min(MOST_HEIGHT);
    let mut svg = format!(
        "<figure><svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">",
        height + TOP,
        escaped(&label(log, state))
    );
    flushes(&mut svg, log, height, &x);
    for (fate, path) in writes(log, &rows, height, fates.as_ref(), &x) {
        let _ = write!(svg, "<path class=\"{}\" d=\"{path}\"/>", fate.class());
    }
    marks(&mut svg, log, &x);
    if let Some(state) = state {
        let at = x(state.cut.0.min(end));
        let _ = write!(
            svg,
            "<line class=\"cut\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{}\"><title>the power is cut</title></line>",
            height + TOP
        );
    }
    svg.push_str("</svg><figcaption>");
    svg.push_str(match state {
        Some(_) => {
            "In order from left to right, by place on the disk from top to bottom; vertical lines are flushes, triangles \
             steps. At the cut (dashed):<span class=\"key durable\"></span>durable<span class=\"key kept\"></span>volatile, \
             in this state<span class=\"key lost\"></span>volatile, lost<span class=\"key later\"></span>after the cut"
        }
        None => {
            "In order from left to right, by place on the disk from top to bottom; vertical lines are flushes, triangles \
             steps."
        }
    });
    svg.push_str("</figcaption></figure>");
    Some(svg)
}

fn label(log: &WriteLog, state: Option<&CrashState>) -> String {
    let writes = log.requests().filter(|request| request.io.kind != IoKind::Flush);
    let mut label = format!("The write log: {} writes, {} events", writes.count(), log.end().0);
    if let Some(state) = state {
        let _ = write!(label, "; the power is cut at event {}", state.cut.0);
    }
    label
}

/// What became of each request in a state.
fn fates(log: &WriteLog, state: &CrashState) -> Option<Vec<Fate>> {
    let mut fates = vec![Fate::Later; log.request_count() as usize];
    for request in log.durable(state.cut)? {
        fates[request.0 as usize] = Fate::Durable;
    }
    let selection = log.select(state).ok()?;
    let kept: HashSet<RequestId> = selection.requests(log).collect();
    for request in log.volatile(state.cut)? {
        let fate = if kept.contains(&request) {
            Fate::Kept
        } else {
            Fate::Lost
        };
        fates[request.0 as usize] = fate;
    }
    Some(fates)
}

/// The chunks of the disk that are written, each with its number: what is not written takes no room.
fn rows(log: &WriteLog) -> BTreeMap<u64, usize> {
    let written = log.requests().filter(|request| request.io.kind != IoKind::Flush);
    let chunks: BTreeSet<u64> = written
        .flat_map(|request| [request.io.offset / CHUNK, last_chunk(&request)])
        .collect();
    chunks.into_iter().zip(0..).collect()
}

fn last_chunk(request: &Request) -> u64 {
    (request.io.offset + request.io.len.max(1) - 1) / CHUNK
}

/// A path for each fate: a rectangle for each write, those that would lie on each other once.
fn writes(
    log: &WriteLog,
    rows: &BTreeMap<u64, usize>,
    height: f64,
    fates: Option<&Vec<Fate>>,
    x: &impl Fn(u32) -> f64,
) -> BTreeMap<Fate, String> {
    let tall = height / rows.len().max(1) as f64;
    let mut drawn: BTreeSet<(Fate, i64, i64, i64)> = BTreeSet::new();
    let mut paths: BTreeMap<Fate, String> = BTreeMap::new();
    for request in log.requests().filter(|request| request.io.kind != IoKind::Flush) {
        let fate = fates.map_or(Fate::Durable, |fates| fates[request.id.0 as usize]);
        let at = x(request.completed.or(request.failed).unwrap_or(request.submitted));
        let row = |chunk: u64| rows.get(&chunk).copied().unwrap_or_default() as f64;
        let (first, last) = (
            row(request.io.offset / CHUNK) * tall,
            row(last_chunk(&request)) * tall + tall,
        );
        let (left, top, down) = (
            (at / 2.0).round() as i64 * 2,
            (first / 2.0).round() as i64 * 2,
            (((last - first) / 2.0).round() as i64 * 2).max(2),
        );
        if drawn.insert((fate, left, top, down)) {
            let path = paths.entry(fate).or_default();
            let _ = write!(path, "M{left} {}h2v{down}h-2z", top + TOP as i64);
        }
    }
    paths
}

fn flushes(svg: &mut String, log: &WriteLog, height: f64, x: &impl Fn(u32) -> f64) {
    let at: BTreeSet<i64> = log
        .requests()
        .filter(|request| request.io.kind == IoKind::Flush || request.io.fua)
        .filter_map(|request| Some(x(request.completed?).round() as i64))
        .collect();
    if at.is_empty() {
        return;
    }
    svg.push_str("<path class=\"flush\" d=\"");
    for left in at {
        let _ = write!(svg, "M{left} {TOP}v{height}");
    }
    svg.push_str("\"/>");
}

fn marks(svg: &mut String, log: &WriteLog, x: &impl Fn(u32) -> f64) {
    let marks = log
        .events()
        .zip(0_u32..)
        .filter_map(|(event, index)| match event {
            Event::Mark(mark) => Some((index, log.marks().get(mark as usize)?)),
            _ => None,
        });
    for (index, mark) in marks.take(MOST_MARKS) {
        let _ = write!(
            svg,
            "<path class=\"step\" d=\"M{:.1} 10l-3 -8h6z\"><title>{}</title></path>",
            x(index),
            escaped(&mark_text(&mark.mark))
        );
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use bytes::Bytes;
    use coldcut_core::recording::io::{Io, IoLog as _};
    use coldcut_core::recording::log::Recorder;
    use coldcut_core::recording::mark::Mark;

    use super::*;

    /// A write, a flush, a mark with markup in it, a write.
    fn log() -> WriteLog {
        let (mut log, mut sidecar) = (Cursor::new(Vec::new()), Cursor::new(Vec::new()));
        let mut recorder = Recorder::new(&mut log, &mut sidecar, 1 << 20, 4096).unwrap();
        let mut request = |kind, offset, len: u64| {
            let io = Io {
                kind,
                offset,
                len,
                fua: false,
            };
            let data = Bytes::from(vec![7; if kind == IoKind::Write { len as usize } else { 0 }]);
            let id = recorder.submit(io, data).unwrap();
            recorder.complete(id).unwrap();
            recorder.mark(&Mark::Other("a<b>".into())).unwrap();
        };
        request(IoKind::Write, 0, 4096);
        request(IoKind::Flush, 0, 0);
        request(IoKind::Write, 256 << 10, 8192);
        recorder.finish().unwrap();
        drop(recorder);
        let (log, sidecar) = (log.into_inner(), sidecar.into_inner());
        WriteLog::load(&log, Some(&sidecar), &LoadOptions::default())
            .unwrap()
            .log
    }

    #[test]
    fn a_state_shows_what_it_lost() {
        let log = log();
        let end = log.end().0;
        for (id, lost, kept) in [(format!("b{end}-d"), 1, 0), (format!("b{end}-c"), 0, 1)] {
            let state: CrashState = id.parse().unwrap();
            let svg = draw(&log, Some(&state)).unwrap();
            let paths = |class: &str| svg.matches(&format!("<path class=\"{class}\"")).count();
            assert_eq!(
                (paths("durable"), paths("lost"), paths("kept"), paths("later")),
                (1, lost, kept, 0),
                "{svg}"
            );
            assert!(svg.contains("<title>a&lt;b&gt;</title>"), "{svg}");
        }
        let early: CrashState = "b2-d".parse().unwrap();
        let svg = draw(&log, Some(&early)).unwrap();
        assert!(svg.contains("<path class=\"later\""), "{svg}");
    }

    #[test]
    fn an_empty_log_has_no_picture() {
        let (mut log, mut sidecar) = (Cursor::new(Vec::new()), Cursor::new(Vec::new()));
        Recorder::new(&mut log, &mut sidecar, 1 << 20, 4096)
            .unwrap()
            .finish()
            .unwrap();
        let (log, sidecar) = (log.into_inner(), sidecar.into_inner());
        let loaded = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap();
        assert_eq!(draw(&loaded.log, None), None);
    }
}
