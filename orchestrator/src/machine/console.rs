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

    /// The kernel's panic message, when it printed one.
    pub fn panic(&self) -> Option<String> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .panic
            .clone()
    }

    /// The last `count` lines, oldest first.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = state.lines.len().saturating_sub(count);
        state.lines.iter().skip(skip).cloned().collect()
    }
}

impl State {
    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.current).into_owned();
        self.current.clear();
        if self.panic.is_none() && line.contains("Kernel panic") {
            self.panic = Some(line.clone());
        }
        if self.lines.len() == TAIL {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
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
}
