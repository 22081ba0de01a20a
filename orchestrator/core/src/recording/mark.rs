//! Marks: what happened outside the device, placed in the log's order.

use std::fmt;
use std::str::FromStr;

/// A workload step: its index and the name that expectations use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepName {
    /// Index in the workload, from 0.
    pub index: u32,
    /// Its label, or `KIND#INDEX` such as `rename#3` when it has none. No whitespace.
    pub name: String,
}

/// A mark, and its text in the log.
///
/// | mark | text |
/// |------|------|
/// | `Begin` | `begin INDEX NAME`, logged before the step is sent to the agent |
/// | `Done` | `done INDEX NAME`, logged after its reply came |
/// | `Failed` | `failed INDEX NAME ERRNO`: it promises nothing |
/// | `Line` | `line INDEX TEXT`: a program's line that acknowledges something |
/// | `End` | `end`: the recording stopped here |
/// | `Other` | anything else, such as an imported log's own marks |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Mark {
    Begin(StepName),
    Done(StepName),
    Failed(StepName, i32),
    Line { index: u32, text: String },
    End,
    Other(String),
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(step) => write!(f, "begin {} {}", step.index, step.name),
            Self::Done(step) => write!(f, "done {} {}", step.index, step.name),
            Self::Failed(step, errno) => write!(f, "failed {} {} {errno}", step.index, step.name),
            Self::Line { index, text } => write!(f, "line {index} {text}"),
            Self::End => f.write_str("end"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl From<&str> for Mark {
    fn from(text: &str) -> Self {
        parse(text).unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl FromStr for Mark {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(text))
    }
}

fn parse(text: &str) -> Option<Mark> {
    if text == "end" {
        return Some(Mark::End);
    }
    let (word, rest) = text.split_once(' ')?;
    let (index, rest) = rest.split_once(' ')?;
    let index: u32 = index.parse().ok()?;
    let step = |name: &str| {
        (!name.is_empty() && !name.contains(' ')).then(|| StepName {
            index,
            name: name.to_owned(),
        })
    };
    match word {
        "begin" => Some(Mark::Begin(step(rest)?)),
        "done" => Some(Mark::Done(step(rest)?)),
        "failed" => {
            let (name, errno) = rest.split_once(' ')?;
            Some(Mark::Failed(step(name)?, errno.parse().ok()?))
        }
        "line" => Some(Mark::Line {
            index,
            text: rest.to_owned(),
        }),
        _ => None,
    }
}
