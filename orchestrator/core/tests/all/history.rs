//! The histories of a recording, against the history that its marks tell one by one.

use std::collections::BTreeSet;

use coldcut_core::oracle::{Histories, History};
use coldcut_core::recording::io::{Io, IoKind};
use coldcut_core::recording::log::{Cut, DataRef, Geometry, LogBuilder, Order, WriteLog};
use coldcut_core::recording::mark::Mark;
use proptest::prelude::*;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// What a history is by its definition: the texts of the marks so far, by kind.
#[derive(Default)]
struct Naive {
    begun: BTreeSet<String>,
    done: BTreeSet<String>,
    failed: BTreeSet<String>,
    lines: BTreeSet<String>,
}

impl Naive {
    fn until(log: &WriteLog, cut: Cut) -> Self {
        let mut naive = Self::default();
        for placed in log.marks_until(cut) {
            let (set, text) = match &placed.mark {
                Mark::Begin(step) => (&mut naive.begun, &step.name),
                Mark::Done(step) => (&mut naive.done, &step.name),
                Mark::Failed(step, _) => (&mut naive.failed, &step.name),
                Mark::Line { text, .. } => (&mut naive.lines, text),
                Mark::End | Mark::Other(_) => continue,
            };
            set.insert(text.clone());
        }
        naive
    }

    /// For each name: acknowledged, begun, said by a program.
    fn answers(&self) -> [[bool; 3]; 3] {
        NAMES.map(|name| {
            let begun = [&self.begun, &self.done, &self.failed];
            [
                self.done.contains(name) && !self.failed.contains(name),
                begun.iter().any(|set| set.contains(name)),
                self.lines.contains(name),
            ]
        })
    }
}

fn answers(history: &History) -> [[bool; 3]; 3] {
    NAMES.map(|name| [history.done(name), history.begun(name), history.line(name)])
}

/// An event of the log: a write that completes at once, or a mark.
fn event() -> impl Strategy<Value = Option<Mark>> {
    let name = prop::sample::select(&NAMES[..]);
    let mark = (name, 0..6).prop_map(|(name, kind)| match kind {
        0 => format!("begin 0 {name}"),
        1 => format!("done 0 {name}"),
        2 => format!("failed 0 {name} 5"),
        3 => format!("line 0 {name}"),
        4 => name.to_owned(),
        _ => "end".to_owned(),
    });
    prop_oneof![Just(None), mark.prop_map(|text| Some(Mark::from(text.as_str()))),]
}

fn log(events: &[Option<Mark>]) -> WriteLog {
    let mut log = LogBuilder::new(Geometry {
        device_size: 1 << 20,
        sector_size: 512,
        atomic_unit: 4096,
        order: Order::Completion,
    });
    let write = Io {
        kind: IoKind::Write,
        offset: 0,
        len: 4096,
        fua: false,
    };
    for event in events {
        if let Some(mark) = event {
            log.mark(mark.clone()).unwrap();
        } else {
            let number = log.submit(write, DataRef::Lost).unwrap();
            log.complete(number).unwrap();
        }
    }
    log.build()
}

proptest! {
    #[test]
    fn a_history_at_a_cut_is_that_of_the_marks_until_it(events in prop::collection::vec(event(), 0..40)) {
        let log = log(&events);
        let histories = Histories::new(&log);
        for cut in (0..=log.end().0 + 1).map(Cut) {
            let naive = Naive::until(&log, cut).answers();
            prop_assert_eq!(answers(&histories.at(cut)), naive, "cut {}", cut);
            let marks = log.marks_until(cut).iter().map(|placed| &placed.mark);
            prop_assert_eq!(answers(&History::from_marks(marks)), naive, "cut {}", cut);
        }
    }
}
