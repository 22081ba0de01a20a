//! Lanes: each in order, none waits for another.

use std::time::{Duration, Instant};

use coldcut_wire::*;

use crate::harness::{Agent, content, extent, name};

/// A FIFO `pipe` in the root: opening it blocks in the kernel until someone opens its other end.
fn with_pipe() -> Agent {
    let agent = Agent::new();
    let path = std::ffi::CString::new(agent.root().join("pipe").to_str().unwrap()).unwrap();
    // SAFETY: the path is a C string that lives through the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    agent
}

fn open(path: &str, handle: &str, read_only: bool) -> Request {
    Request::Op(Op::Open(op::Open {
        path: path.to_owned(),
        handle: handle.to_owned(),
        flags: WriteFlags::default(),
        read_only,
    }))
}

fn close(handle: &str) -> Request {
    Request::Op(Op::Close(op::Close {
        handle: handle.to_owned(),
    }))
}

#[test]
fn a_blocked_lane_blocks_no_other() {
    let mut agent = with_pipe();
    let blocked = agent.send_in(1, open("pipe", "reader", true));
    let behind = agent.send_in(1, Request::Op(Op::Sync));
    std::thread::sleep(Duration::from_millis(100));

    // Everything that the main lane does meanwhile works, unmounting excepted.
    let config = name("config", "1");
    agent.write("config", 0, 4096, &config);
    assert!(agent.ask(open("config", "h", false)).result.is_ok());
    agent.good(Op::Fsync(op::Fsync {
        path: "fd:h".to_owned(),
        directory: false,
    }));
    assert_eq!(
        agent.extents("config", std::slice::from_ref(&config)),
        [extent(0, 4096, content(&config, 0))]
    );
    let refused = agent.ask(Request::Unmount).result.unwrap_err();
    assert_eq!(refused.errno, Some(16), "{refused:?}");
    assert!(refused.what.contains("another lane"), "{refused:?}");

    // The other end; both opens return, and only then what waits behind the first.
    let writer = agent.send_in(2, open("pipe", "writer", false));
    let mut ended = Vec::new();
    while ended.len() < 3 {
        match agent.receive() {
            Some(FromAgent::Done { id, result }) => {
                assert!(result.is_ok(), "{result:?}");
                ended.push(id);
            }
            other => panic!("{other:?}"),
        }
    }
    let place = |id| ended.iter().position(|e| *e == id).unwrap();
    assert!(place(blocked) < place(behind), "{ended:?}");
    assert!(ended.contains(&writer));

    // What one lane opened, another one closes.
    assert!(agent.ask(close("reader")).result.is_ok());
    let id = agent.send_in(3, close("writer"));
    assert!(agent.answer(id).result.is_ok());
    assert!(agent.ask(Request::Unmount).result.is_ok());
}

#[test]
fn a_lane_runs_in_order_and_lanes_run_at_once() {
    let mut agent = Agent::new();
    let start = Instant::now();
    let mut ids = Vec::new();
    for lane in 0..LANES {
        for _ in 0..2 {
            let id = agent.send_in(lane, Request::Op(Op::Sleep(op::Sleep { millis: 400 })));
            ids.push((lane, id));
        }
    }
    let mut ended = Vec::new();
    while ended.len() < ids.len() {
        match agent.receive() {
            Some(FromAgent::Done { id, result: Ok(_) }) => ended.push(id),
            other => panic!("{other:?}"),
        }
    }
    assert!(
        start.elapsed() < Duration::from_millis(u64::from(LANES) * 400),
        "one after the other"
    );
    for pair in ids.chunks(2) {
        let place = |(_, id): (Lane, RequestId)| ended.iter().position(|e| *e == id);
        assert!(place(pair[0]) < place(pair[1]), "lane {}", pair[0].0);
    }
}

#[test]
fn lanes_are_bounded() {
    let mut agent = Agent::new();
    for lane in [LANES, u8::MAX] {
        let id = agent.send_in(lane, Request::Op(Op::Sync));
        let failure = agent.answer(id).result.unwrap_err();
        assert!(failure.what.contains("none of the 16"), "{failure:?}");
    }
    let id = agent.send_in(LANES - 1, Request::Op(Op::Sync));
    assert!(agent.answer(id).result.is_ok());
}

#[test]
fn a_handle_stays_open_while_a_lane_uses_it() {
    let mut agent = with_pipe();
    // Both ends, so that a read blocks until something is written.
    let reader = agent.send_in(1, open("pipe", "reader", true));
    let writer = agent.send_in(2, open("pipe", "writer", false));
    for _ in 0..2 {
        assert!(matches!(
            agent.receive(),
            Some(FromAgent::Done { id, result: Ok(_) }) if id == reader || id == writer
        ));
    }
    // fsync of a FIFO fails; what matters is that the handle's name is free as soon as it is closed.
    assert!(agent.ask(close("writer")).result.is_ok());
    let again = agent.ask(close("writer")).result.unwrap_err();
    assert!(again.what.contains("open are: reader"), "{again:?}");
    agent.write("plain", 0, 10, &name("plain", "0"));
    assert!(agent.ask(open("plain", "writer", false)).result.is_ok());
}

#[test]
fn two_lanes_run_programs_at_once() {
    let mut agent = Agent::new();
    let exec = |script: &str| {
        Request::Exec(ExecSpec {
            argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()],
            env: Vec::new(),
            cwd: ".".to_owned(),
            root: None,
            timeout_ms: 20_000,
        })
    };
    // Each waits for what the other makes.
    let wait = |mine: &str, theirs: &str, code: u8| {
        format!("touch {mine}; until test -e {theirs}; do sleep 0.01; done; exit {code}")
    };
    let one = agent.send_in(1, exec(&wait("a", "b", 3)));
    let two = agent.send_in(2, exec(&wait("b", "a", 4)));
    let mut codes = Vec::new();
    while codes.len() < 2 {
        match agent.receive() {
            Some(FromAgent::Done {
                id,
                result: Ok(Done::Exec { code }),
            }) => codes.push((id, code)),
            other => panic!("{other:?}"),
        }
    }
    codes.sort_unstable();
    assert_eq!(codes, [(one, 3), (two, 4)]);
}
