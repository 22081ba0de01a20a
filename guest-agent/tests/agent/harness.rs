//! Starts the agent, speaks the protocol with it, and ends it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use coldcut_wire::*;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// A running agent with a directory to work on.
pub(crate) struct Agent {
    child: Child,
    stream: UnixStream,
    decoder: Decoder,
    next: RequestId,
    pub(crate) hello: Hello,
    dir: TempDir,
}

/// All of an answer.
pub(crate) struct Answer {
    pub(crate) outputs: Vec<Output>,
    pub(crate) result: Result<Done, Failure>,
}

impl Agent {
    /// An agent that has mounted nothing.
    pub(crate) fn unmounted() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        let socket = dir.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_coldcut-agent"))
            .arg("--connect")
            .arg(&socket)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut agent = Self {
            child,
            stream,
            decoder: Decoder::new(),
            next: 1,
            hello: Hello {
                protocol: 0,
                agent: String::new(),
                release: String::new(),
                uptime_ns: 0,
                problems: Vec::new(),
            },
            dir,
        };
        match agent.receive().expect("a hello") {
            FromAgent::Hello(hello) => agent.hello = hello,
            other => panic!("expected a hello, got {other:?}"),
        }
        agent
    }

    /// An agent whose root is [`Agent::root`].
    pub(crate) fn new() -> Self {
        let mut agent = Self::unmounted();
        let spec = agent.mount_spec();
        let done = agent.ask(Request::Mount(spec)).result.unwrap();
        assert!(matches!(done, Done::Mounted { .. }));
        agent
    }

    pub(crate) fn mount_spec(&self) -> MountSpec {
        MountSpec {
            device: "none".to_owned(),
            others: Vec::new(),
            fstype: "none".to_owned(),
            data: String::new(),
            flags: Vec::new(),
            wait_ms: 0,
            clock: None,
            existing_dir: Some(self.root().to_str().unwrap().to_owned()),
        }
    }

    /// The directory that the agent's paths are relative to.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn send(&mut self, body: Request) -> RequestId {
        self.send_in(0, body)
    }

    /// Sends a request that runs in another lane.
    pub(crate) fn send_in(&mut self, lane: Lane, body: Request) -> RequestId {
        let id = self.next;
        self.next += 1;
        self.send_bytes(&encode(&ToAgent::Request { id, lane, body }).unwrap());
        id
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next message, or `None` at the channel's end. Panics when the agent stays silent.
    pub(crate) fn receive(&mut self) -> Option<FromAgent> {
        let mut buffer = [0; 8192];
        loop {
            if let Some(message) = self.decoder.next_message().unwrap() {
                return Some(message);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(len) => self.decoder.push(&buffer[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("the agent must not stay silent: {error}"),
            }
        }
    }

    /// The whole answer to `id`, when nothing else is under way.
    pub(crate) fn answer(&mut self, id: RequestId) -> Answer {
        let mut outputs = Vec::new();
        loop {
            match self.receive().expect("the agent must not hang up") {
                FromAgent::Output { id: of, output } if of == id => outputs.push(output),
                FromAgent::Done { id: of, result } if of == id => return Answer { outputs, result },
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    /// The whole answers to all of these, in whatever order they come.
    pub(crate) fn answers(&mut self, ids: &[RequestId]) -> HashMap<RequestId, Answer> {
        let mut outputs: HashMap<RequestId, Vec<Output>> = ids.iter().map(|id| (*id, Vec::new())).collect();
        let mut answers = HashMap::new();
        while answers.len() < ids.len() {
            match self.receive().expect("the agent must not hang up") {
                FromAgent::Output { id, output } => outputs.get_mut(&id).expect("asked for").push(output),
                FromAgent::Done { id, result } => {
                    let outputs = outputs.remove(&id).expect("asked for, and once");
                    answers.insert(id, Answer { outputs, result });
                }
                other @ FromAgent::Hello(_) => panic!("unexpected: {other:?}"),
            }
        }
        answers
    }

    pub(crate) fn ask(&mut self, body: Request) -> Answer {
        let id = self.send(body);
        self.answer(id)
    }

    /// Runs an operation; the return value of a good one.
    pub(crate) fn op(&mut self, op: Op) -> Result<i64, Failure> {
        match self.ask(Request::Op(op)).result? {
            Done::Op { ret, .. } => Ok(ret),
            other => panic!("an operation ended with {other:?}"),
        }
    }

    /// An operation that must work.
    pub(crate) fn good(&mut self, op: Op) -> i64 {
        let text = format!("{op:?}");
        self.op(op)
            .unwrap_or_else(|failure| panic!("{text}: {failure:?}"))
    }

    /// Writes content in one call, creating the file.
    pub(crate) fn write(&mut self, path: &str, offset: u64, len: u64, content: &PatternName) -> i64 {
        self.good(Op::Write(op::Write {
            path: path.to_owned(),
            offset,
            len,
            chunk: 0,
            pattern: content.clone(),
            flags: WriteFlags {
                create: true,
                ..WriteFlags::default()
            },
        }))
    }

    /// A walk with data; `contents` are the known ones.
    pub(crate) fn walk(&mut self, contents: &[PatternName]) -> Vec<TreeEntry> {
        let answer = self.ask(Request::Walk(WalkSpec {
            patterns: contents.to_vec(),
            data: true,
            max_entries: 10_000,
            max_bytes: 1 << 30,
            placed: false,
        }));
        let Ok(Done::Walk(summary)) = answer.result else {
            panic!("the walk ended with {:?}", answer.result);
        };
        let entries: Vec<TreeEntry> = answer.outputs.into_iter().flat_map(entries).collect();
        assert_eq!(summary.entries, entries.len() as u64);
        entries
    }

    /// One file's extents.
    pub(crate) fn extents(&mut self, path: &str, contents: &[PatternName]) -> Vec<Extent> {
        let entries = self.walk(contents);
        let entry = entries
            .iter()
            .find(|entry| entry.path == path.as_bytes())
            .unwrap_or_else(|| panic!("{path} is not in the walk"));
        assert_eq!(entry.problems, Vec::<String>::new());
        let mut at = 0;
        for extent in &entry.extents {
            assert_eq!(extent.offset, at, "extents are in order and without gaps");
            at += extent.len;
        }
        assert_eq!(at, entry.size);
        entry.extents.clone()
    }

    /// Waits for the agent's own end; its exit code.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        drop(self.stream.shutdown(std::net::Shutdown::Both));
        let start = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "the agent does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn entries(output: Output) -> Vec<TreeEntry> {
    match output {
        Output::Entries(entries) => entries,
        other => panic!("expected entries, got {other:?}"),
    }
}

pub(crate) fn name(file: &str, generation: &str) -> PatternName {
    PatternName {
        file: file.to_owned(),
        generation: generation.to_owned(),
    }
}

pub(crate) fn content(name: &PatternName, at: u64) -> Source {
    Source::Content {
        id: pattern::pattern_id(name),
        at,
        label: pattern::label(name),
    }
}

pub(crate) fn extent(offset: u64, len: u64, source: Source) -> Extent {
    Extent { offset, len, source }
}
