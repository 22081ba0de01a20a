//! What a program that judges said in a guest.

use coldcut_wire::{Done, Output, Stream};

use crate::vm::machine::{GuestError, Next, Reply};

/// Most lines that are kept.
const MOST_LINES: usize = 1 << 16;
/// Of what it printed last, so many lines are shown.
const LAST: usize = 5;

/// What was heard of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its exit code, or 128 and a signal; or why there is none.
    pub ended: Result<i32, String>,
    /// Its standard output.
    pub lines: Vec<String>,
    /// The last lines of both its outputs.
    pub last: Vec<String>,
}

impl Heard {
    /// Nothing, for this reason.
    pub(crate) fn nothing(why: String) -> Self {
        Self {
            ended: Err(why),
            lines: Vec::new(),
            last: Vec::new(),
        }
    }

    fn take(&mut self, stream: Stream, text: String) {
        if self.last.len() == LAST {
            self.last.remove(0);
        }
        self.last.push(text.clone());
        if stream == Stream::Stdout && self.lines.len() <= MOST_LINES {
            self.lines.push(text);
        }
    }
}

/// Listens to a program to its end. What the agent cannot run or had to kill has no answer.
pub(crate) async fn hear(mut reply: Reply) -> Result<Heard, GuestError> {
    let mut heard = Heard::nothing(String::new());
    loop {
        match reply.next().await {
            Ok(Next::Output(Output::Line { stream, text })) => heard.take(stream, text),
            Ok(Next::Done(Done::Exec { code })) if heard.lines.len() <= MOST_LINES => {
                heard.ended = Ok(code);
                return Ok(heard);
            }
            Ok(Next::Done(Done::Exec { .. })) => {
                heard.ended = Err(format!("it printed more than {MOST_LINES} lines"));
                return Ok(heard);
            }
            Err(GuestError::Failed(failure)) => {
                heard.ended = Err(failure.what);
                return Ok(heard);
            }
            Ok(Next::Output(other)) => return Err(nonsense(&other)),
            Ok(Next::Done(other)) => return Err(nonsense(&other)),
            Err(error) => return Err(error),
        }
    }
}

fn nonsense(said: &impl std::fmt::Debug) -> GuestError {
    GuestError::Nonsense {
        what: "verify".to_owned(),
        said: format!("{said:.200?}"),
    }
}
