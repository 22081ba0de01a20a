//! What an operation measures, collected while it runs and sent before its end.

use std::time::Duration;

use coldcut_wire::{Extent, Failure, MAX_LINES, MAX_VALUES, Measured, Output, RequestId, SERIES_PART};

use crate::failure::refuse;
use crate::link::Sender;

/// Most data rounds of one operation.
const MAX_ROUNDS: usize = 64;

/// Measurements of one operation.
#[derive(Debug, Default)]
pub(crate) struct Measurements {
    measured: Vec<Measured>,
    series: Vec<(String, Vec<i64>)>,
    values: usize,
    rounds: usize,
}

impl Measurements {
    /// Adds a number.
    pub(crate) fn figure(&mut self, name: &str, value: i64) {
        self.measured.push(Measured::Figure {
            name: name.to_owned(),
            value,
        });
    }

    /// Announces a series, which may stay empty.
    pub(crate) fn series(&mut self, name: &str) {
        if !self.series.iter().any(|(known, _)| known == name) {
            self.series.push((name.to_owned(), Vec::new()));
        }
    }

    /// Adds a value to a series. More than [`MAX_VALUES`] in all is a failure: a series with holes would mislead.
    pub(crate) fn value(&mut self, name: &str, value: i64) -> Result<(), Failure> {
        if self.values == MAX_VALUES {
            return Err(refuse(format!("more than {MAX_VALUES} values were measured")));
        }
        self.values += 1;
        self.series(name);
        if let Some((_, values)) = self.series.iter_mut().find(|(known, _)| known == name) {
            values.push(value);
        }
        Ok(())
    }

    /// Adds a duration to a series, in nanoseconds.
    pub(crate) fn took(&mut self, name: &str, time: Duration) -> Result<(), Failure> {
        self.value(name, i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Adds lines of text; beyond [`MAX_LINES`] they are dropped.
    pub(crate) fn text(&mut self, name: &str, mut lines: Vec<String>) {
        lines.truncate(MAX_LINES);
        self.measured.push(Measured::Text {
            name: name.to_owned(),
            lines,
        });
    }

    /// Adds what a round of reading returned.
    pub(crate) fn data(&mut self, round: u32, extents: Vec<Extent>) -> Result<(), Failure> {
        if self.rounds == MAX_ROUNDS {
            return Err(refuse(format!(
                "the file was found different more than {MAX_ROUNDS} times"
            )));
        }
        self.rounds += 1;
        self.measured.push(Measured::Data { round, extents });
        Ok(())
    }

    /// Sends everything as parts of the answer to `id`.
    pub(crate) fn send(self, id: RequestId, sender: &Sender) -> Result<(), Failure> {
        for measured in self.measured {
            sender.output(id, Output::Measured(measured))?;
        }
        for (name, values) in self.series {
            // An empty series is one part too: it says that there was nothing, not that nobody looked.
            let parts: Vec<&[i64]> = if values.is_empty() {
                vec![&[]]
            } else {
                values.chunks(SERIES_PART).collect()
            };
            for part in parts {
                let series = Measured::Series {
                    name: name.clone(),
                    values: part.to_vec(),
                };
                sender.output(id, Output::Measured(series))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_holes_is_refused() {
        let mut measured = Measurements::default();
        for _ in 0..MAX_VALUES {
            measured.value("calls", 1).unwrap();
        }
        assert!(measured.value("calls", 1).is_err());
        assert!(measured.value("others", 1).is_err(), "all series count together");
        for round in 0..MAX_ROUNDS as u32 {
            measured.data(round, Vec::new()).unwrap();
        }
        assert!(measured.data(64, Vec::new()).is_err());
    }
}
