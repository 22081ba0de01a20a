//! The serial console: copied to a file up to a limit, its end kept for error messages.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

/// Bytes written to the file at most; a guest that prints more is drained and ignored.
const FILE_LIMIT: u64 = 4 << 20;
/// Lines kept for error messages.
const TAIL: usize = 40;
/// Bytes kept of a line.
const LINE: usize = 300;

/// What the guest printed last.
#[derive(Clone, Debug, Default)]
pub struct Console {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    current: Vec<u8>,
    panic: Option<String>,
    /// What began an oops: the first such line, and the first function after it.
    oops: Option<String>,
    function: Option<String>,
}

impl Console {
    /// Starts copying `stream` to the file at `path` until the stream closes.
    pub(super) fn start(stream: UnixStream, path: &Path) -> std::io::Result<Self> {
        let console = Self::default();
        let file = File::create(path)?;
        tokio::spawn(copy(stream, file, console.clone()));
        Ok(console)
    }

    fn take(&self, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            match byte {
                b'\n' => state.end_line(),
                b'\r' => {}
                byte if state.current.len() < LINE => state.current.push(*byte),
                _ => {}
            }
        }
    }

    /// Why the kernel panicked, when it said that it did: its oops, else its message.
    pub fn panic(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.oops().or_else(|| state.panic.clone())
    }

    /// The oops by which the kernel panicked: in it, not in what was asked of it. `None` for panics of another cause,
    /// such as an init that ended or memory that ran out.
    pub fn oops(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).oops()
    }

    /// The last `count` lines, oldest first.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = state.lines.len().saturating_sub(count);
        state.lines.iter().skip(skip).cloned().collect()
    }
}

/// How lines begin by which the kernel says what is wrong with itself (x86: arch/x86/mm/fault.c, kernel/traps.c;
/// lib/bug.c), behind the time. Of several, the last with which an oops begins is meant.
const BUG: [&str; 2] = ["BUG: ", "kernel BUG at "];
/// What follows them, or stands alone.
const OOPS: [&str; 5] = [
    "Oops: ",
    "general protection fault",
    "divide error",
    "invalid opcode",
    "stack segment",
];
/// How panic(9) is told the reason when an oops ends the kernel (`oops_end`, with `oops=panic`).
const BY_OOPS: &str = "Fatal exception";

impl State {
    fn oops(&self) -> Option<String> {
        let by_oops = self.panic.as_ref().is_some_and(|why| why.contains(BY_OOPS));
        let oops = self.oops.as_ref().filter(|_| by_oops)?;
        Some(match &self.function {
            Some(function) => format!("{oops}, in {function}"),
            None => oops.clone(),
        })
    }

    /// Keeps what says why the kernel panics.
    fn look(&mut self, line: &str) {
        let text = without_time(line);
        let begins = |begin: &[&str]| begin.iter().any(|words| text.starts_with(words));
        if self.panic.is_none() && (begins(&BUG) || self.oops.is_none() && begins(&OOPS)) {
            self.oops = Some(text.to_owned());
            self.function = None;
        } else if self.oops.is_some()
            && self.function.is_none()
            && let Some(place) = text.strip_prefix("RIP: 0010:")
        {
            self.function = Some(place.to_owned());
        }
        if self.panic.is_none() && text.contains("Kernel panic") {
            self.panic = Some(text.to_owned());
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.current).into_owned();
        self.current.clear();
        self.look(&line);
        if self.lines.len() == TAIL {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

/// What the kernel said in a line: what follows the time, such as `[    8.953319] `. The firmware may have left something
/// before that.
fn without_time(line: &str) -> &str {
    let is_time = |time: &str| {
        time.contains('.')
            && time
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'.'))
    };
    let mut said = line.match_indices('[').filter_map(|(at, _)| {
        let (time, text) = line[at + 1..].split_once("] ")?;
        is_time(time).then_some(text)
    });
    said.next().unwrap_or(line)
}

async fn copy(mut stream: UnixStream, mut file: File, console: Console) {
    let mut buffer = vec![0; 4096];
    let mut written = 0;
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        console.take(&buffer[..count]);
        if written < FILE_LIMIT {
            written += count as u64;
            // A full disk must not stop the machine; the tail in memory still has the news.
            let _ = file.write_all(&buffer[..count]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_tail_and_the_panic() {
        let console = Console::default();
        for i in 0..100 {
            console.take(format!("line {i}\r\n").as_bytes());
        }
        console.take(b"[    1.0] Kernel panic - not syncing: no init\n");
        assert_eq!(console.tail(2)[0], "line 99");
        assert_eq!(console.tail(1000).len(), TAIL);
        assert!(console.panic().unwrap().contains("no init"));
    }

    #[test]
    fn a_line_without_end_stays_bounded() {
        let console = Console::default();
        console.take(&vec![b'x'; 1 << 20]);
        console.take(b"\n");
        assert_eq!(console.tail(1)[0].len(), LINE);
    }

    #[test]
    fn an_oops_is_told_from_other_panics() {
        let oops = "[    2.5] BUG: workqueue lockup - pool cpus=0\n\
                    Booting from ROM..[    8.953319] BUG: kernel NULL pointer dereference, address: 0000000000000028\n\
                    [    8.985562] Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI\n\
                    [    9.000441] RIP: 0010:jbd2_journal_file_inode+0x5f/0x150\n\
                    [    9.120000] RIP: 0033:0x3700c7\n";
        let console = Console::default();
        console.take(oops.as_bytes());
        assert_eq!(console.oops(), None, "the kernel still runs");
        console.take(b"[    9.220946] Kernel panic - not syncing: Fatal exception\n");
        let what = "BUG: kernel NULL pointer dereference, address: 0000000000000028, in \
                    jbd2_journal_file_inode+0x5f/0x150";
        assert_eq!(console.oops().as_deref(), Some(what));
        assert_eq!(console.panic().as_deref(), Some(what));

        for other in [
            "Attempted to kill init! exitcode=0x00000100",
            "System is deadlocked on memory",
        ] {
            let console = Console::default();
            console.take(oops.as_bytes());
            console.take(format!("[    9.2] Kernel panic - not syncing: {other}\n").as_bytes());
            assert_eq!(console.oops(), None, "{other}");
            assert!(console.panic().unwrap().contains(other));
        }
    }
}
