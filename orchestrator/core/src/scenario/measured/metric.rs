//! Names of measured numbers: `LABEL.FIGURE`, `LABEL.SERIES.STATISTIC`.

use std::fmt;

use serde::Serialize;

use crate::scenario::yaml::units::{errno_name, parse_errno, parse_millis, parse_size, show_size};

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds; scenarios write durations.
    Nanos,
    /// Bytes (or bytes a second); scenarios write sizes.
    Bytes,
    /// A plain number.
    Count,
    /// An errno, 0 for success; scenarios write `EIO` or `ok`.
    Errno,
}

/// What sort of thing a step yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yield {
    /// One number.
    Figure(Unit),
    /// One number a call.
    Series(Unit),
    /// Lines.
    Text,
    /// What a read returned.
    Data,
}

/// A statistic of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stat {
    /// How many values there are.
    Count,
    /// Their sum.
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The median.
    P50,
    /// The 99th percentile.
    P99,
    /// How many are greater than this, of the series' own unit.
    Over(i64, Unit),
}

/// A number among what a step yields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// One number.
    Figure(String),
    /// A statistic of a series.
    Series(String, Stat),
}

/// A number that a step measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// The step's label.
    pub step: String,
    /// Which number.
    pub item: Item,
}

/// Why a text does not name a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MetricError {
    /// What is wrong.
    pub message: String,
    /// Names that would be valid there.
    pub valid: Vec<String>,
}

const STATS: [(&str, Stat); 6] = [
    ("count", Stat::Count),
    ("sum", Stat::Sum),
    ("min", Stat::Min),
    ("max", Stat::Max),
    ("p50", Stat::P50),
    ("p99", Stat::P99),
];

impl Unit {
    /// A number from text.
    ///
    /// # Errors
    /// In words.
    pub fn parse(self, text: &str) -> Result<i64, String> {
        let fits = |n: u64| i64::try_from(n).map_err(|_| format!("`{text}` is too much"));
        match self {
            Self::Nanos => parse_millis(text)
                .and_then(|ms| fits(ms.saturating_mul(1_000_000)))
                .map_err(|error| format!("this is a time: {error}")),
            Self::Bytes => parse_size(text)
                .and_then(fits)
                .map_err(|error| format!("this is in bytes: {error}")),
            Self::Count => text
                .parse()
                .map_err(|_| format!("this is a plain number, such as `10`; found `{text}`")),
            Self::Errno if text == "ok" => Ok(0),
            Self::Errno => parse_errno(text)
                .map(i64::from)
                .map_err(|error| format!("this is `ok` or an errno: {error}")),
        }
    }

    /// A number as scenarios write it: [`Unit::parse`] reads it back.
    fn written(self, value: i64) -> String {
        match (self, u64::try_from(value)) {
            (Self::Nanos, Ok(ns)) => format!("{}ms", ns / 1_000_000),
            (Self::Bytes | Self::Errno, Ok(_)) => self.show(value),
            _ => value.to_string(),
        }
    }

    /// A number as people read it.
    pub fn show(self, value: i64) -> String {
        match (self, u64::try_from(value)) {
            (Self::Nanos, Ok(ns)) if ns >= 10_000_000 => format!("{} ms", ns / 1_000_000),
            (Self::Nanos, Ok(ns)) if ns > 0 => format!("{}.{:03} ms", ns / 1_000_000, ns / 1000 % 1000),
            (Self::Bytes, Ok(bytes)) => show_size(bytes),
            (Self::Errno, Ok(0)) => "ok".to_owned(),
            (Self::Errno, Ok(errno)) => {
                let name = i32::try_from(errno).ok().and_then(errno_name);
                name.map_or_else(|| format!("errno {errno}"), str::to_owned)
            }
            _ => value.to_string(),
        }
    }
}

impl Metric {
    /// Reads a metric's name, given what the steps yield: each step's label, and its items.
    ///
    /// # Errors
    /// [`MetricError`], with what would be valid.
    pub fn parse(text: &str, steps: &[(String, Vec<(String, Yield)>)]) -> Result<(Self, Unit), MetricError> {
        let wrong = |message: String, valid: Vec<String>| Err(MetricError { message, valid });
        // A label may hold dots: the longest that fits is meant.
        let step = steps
            .iter()
            .filter(|(label, _)| {
                text.strip_prefix(label.as_str())
                    .is_some_and(|rest| rest.starts_with('.'))
            })
            .max_by_key(|(label, _)| label.len());
        let Some((label, items)) = step else {
            let valid = steps.iter().map(|(label, _)| format!("{label}.time")).collect();
            return wrong(
                format!("expected STEP.WHAT with the label of a step, found `{text}`"),
                valid,
            );
        };
        let names = |shape: fn(&Yield) -> bool| -> Vec<String> {
            let fitting = items.iter().filter(|(_, s)| shape(s));
            fitting.map(|(name, _)| format!("{label}.{name}")).collect()
        };
        let what = &text[label.len() + 1..];
        let (name, stat) = what.split_once('.').map_or((what, None), |(n, s)| (n, Some(s)));
        let metric = |item| Self {
            step: label.clone(),
            item,
        };
        let shape = items
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, shape)| shape);
        match (shape, stat) {
            (Some(Yield::Figure(unit)), None) => Ok((metric(Item::Figure(name.to_owned())), *unit)),
            (Some(Yield::Figure(_)), Some(_)) => wrong(
                format!("`{label}.{name}` is one number and has no statistics"),
                vec![format!("{label}.{name}")],
            ),
            (Some(Yield::Series(unit)), Some(stat)) => match parse_stat(stat, *unit) {
                Ok((stat, unit)) => Ok((metric(Item::Series(name.to_owned(), stat)), unit)),
                Err(message) => wrong(message, stats_of(&format!("{label}.{name}"))),
            },
            (Some(Yield::Series(_)), None) => wrong(
                format!("`{text}` is a series: say which of its statistics"),
                stats_of(text),
            ),
            (Some(Yield::Text | Yield::Data), _) => wrong(
                format!("`{label}.{name}` is no number"),
                names(|s| matches!(s, Yield::Figure(_) | Yield::Series(_))),
            ),
            (None, _) => wrong(
                format!("the step `{label}` yields no `{name}`"),
                names(|s| matches!(s, Yield::Figure(_) | Yield::Series(_))),
            ),
        }
    }
}

fn stats_of(series: &str) -> Vec<String> {
    let named = STATS.iter().map(|(name, _)| format!("{series}.{name}"));
    named.chain([format!("{series}.over(X)")]).collect()
}

fn parse_stat(text: &str, unit: Unit) -> Result<(Stat, Unit), String> {
    if let Some((_, stat)) = STATS.iter().find(|(name, _)| *name == text) {
        let unit = if *stat == Stat::Count { Unit::Count } else { unit };
        return Ok((*stat, unit));
    }
    let over = text.strip_prefix("over(").and_then(|t| t.strip_suffix(')'));
    match over {
        Some(limit) => Ok((Stat::Over(unit.parse(limit)?, unit), Unit::Count)),
        None => Err(format!("there is no statistic `{text}`")),
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.item {
            Item::Figure(name) => write!(f, "{}.{name}", self.step),
            Item::Series(name, Stat::Over(limit, unit)) => {
                write!(f, "{}.{name}.over({})", self.step, unit.written(*limit))
            }
            Item::Series(name, stat) => {
                let stat = STATS
                    .iter()
                    .find(|(_, s)| s == stat)
                    .map_or("?", |(name, _)| name);
                write!(f, "{}.{name}.{stat}", self.step)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> Vec<(String, Vec<(String, Yield)>)> {
        let items = vec![
            ("time".to_owned(), Yield::Figure(Unit::Nanos)),
            ("writes".to_owned(), Yield::Series(Unit::Nanos)),
            ("stack".to_owned(), Yield::Text),
        ];
        vec![("a".to_owned(), items.clone()), ("a.b".to_owned(), items)]
    }

    #[test]
    fn the_longest_label_is_meant() {
        let (metric, unit) = Metric::parse("a.b.writes.over(100ms)", &steps()).unwrap();
        assert_eq!((metric.step.as_str(), unit), ("a.b", Unit::Count));
        assert_eq!(
            metric.item,
            Item::Series("writes".to_owned(), Stat::Over(100_000_000, Unit::Nanos))
        );
        let (metric, unit) = Metric::parse("a.time", &steps()).unwrap();
        assert_eq!((metric.to_string().as_str(), unit), ("a.time", Unit::Nanos));
    }

    #[test]
    fn a_metric_is_shown_as_it_is_written() {
        for text in [
            "a.time",
            "a.writes.p99",
            "a.writes.over(100ms)",
            "a.b.writes.over(0ms)",
        ] {
            let (metric, _) = Metric::parse(text, &steps()).unwrap();
            assert_eq!(metric.to_string(), text);
        }
        assert_eq!(Unit::Bytes.written(1 << 20), "1MiB");
        assert_eq!(Unit::Errno.written(5), "EIO");
    }

    #[test]
    fn what_is_no_metric_is_explained() {
        for (text, why) in [
            ("c.time", "expected STEP.WHAT"),
            ("a", "expected STEP.WHAT"),
            ("a.pauses", "yields no `pauses`"),
            ("a.writes", "say which of its statistics"),
            ("a.writes.p95", "no statistic `p95`"),
            ("a.writes.over(100)", "this is a time"),
            ("a.time.max", "one number"),
            ("a.stack", "is no number"),
        ] {
            let error = Metric::parse(text, &steps()).unwrap_err();
            assert!(error.message.contains(why), "{text}: {error}");
            assert!(!error.valid.is_empty(), "{text}");
        }
    }

    #[test]
    fn numbers_read_and_show() {
        assert_eq!(Unit::Nanos.parse("1.5s"), Ok(1_500_000_000));
        assert_eq!(Unit::Bytes.parse("64KiB"), Ok(65_536));
        assert_eq!(Unit::Errno.parse("ok"), Ok(0));
        assert_eq!(Unit::Errno.parse("EIO"), Ok(5));
        assert!(Unit::Count.parse("10ms").is_err());
        assert_eq!(Unit::Nanos.show(1_234_567), "1.234 ms");
        assert_eq!(Unit::Nanos.show(412_345_678), "412 ms");
        assert_eq!(Unit::Errno.show(5), "EIO");
        assert_eq!(Unit::Bytes.show(65_536), "64KiB");
    }
}
