//! Operations that measure, in an ordinary process.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use coldcut_wire::*;

use crate::harness::{Agent, Answer, content, extent, name};

/// What an operation measured.
#[derive(Debug, Default)]
struct Seen {
    figures: HashMap<String, i64>,
    series: HashMap<String, Vec<i64>>,
    texts: HashMap<String, Vec<String>>,
    data: Vec<(u32, Vec<Extent>)>,
}

fn seen(answer: Answer) -> (Seen, Result<i64, Failure>) {
    let mut seen = Seen::default();
    for output in answer.outputs {
        let Output::Measured(part) = output else {
            panic!("unexpected: {output:?}")
        };
        match part {
            Measured::Figure { name, value } => drop(seen.figures.insert(name, value)),
            Measured::Series { name, values } => seen.series.entry(name).or_default().extend(values),
            Measured::Text { name, lines } => drop(seen.texts.insert(name, lines)),
            Measured::Data { round, extents } => seen.data.push((round, extents)),
        }
    }
    let result = answer.result.map(|done| match done {
        Done::Op { ret, .. } => ret,
        other => panic!("unexpected: {other:?}"),
    });
    (seen, result)
}

fn ask(agent: &mut Agent, op: Op) -> (Seen, Result<i64, Failure>) {
    seen(agent.ask(Request::Op(op)))
}

fn good(agent: &mut Agent, op: Op) -> Seen {
    let text = format!("{op:?}");
    let (seen, result) = ask(agent, op);
    result.unwrap_or_else(|failure| panic!("{text}: {failure:?}"));
    seen
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn burst(path: &str, len: u64, fsync_every: u32) -> Op {
    Op::Burst(op::Burst {
        path: text(path),
        offset: 0,
        len,
        chunk: 4096,
        pattern: name("f", "1"),
        flags: WriteFlags {
            create: !path.starts_with("fd:"),
            ..WriteFlags::default()
        },
        fsync_every,
        pause_ms: 0,
        within_ms: 20_000,
    })
}

fn read(path: &str, offset: u64, len: u64, times: u32) -> Op {
    Op::Read(op::Read {
        path: text(path),
        offset,
        len,
        chunk: 0,
        direct: false,
        times,
        pause_ms: 10,
        patterns: vec![name("f", "0"), name("f", "1")],
        within_ms: 20_000,
    })
}

fn transfer(how: TransferCall, from: &str, to: &str, len: u64, nonblock: bool) -> Op {
    Op::Transfer(op::Transfer {
        how,
        from: text(from),
        to: text(to),
        offset: 0,
        len,
        chunk: 0,
        nonblock,
        within_ms: 20_000,
    })
}

fn pipe(agent: &mut Agent, handle: &str, capacity: u32) -> i64 {
    let handle = text(handle);
    good(agent, Op::Pipe(op::Pipe { handle, capacity })).figures["capacity"]
}

#[test]
fn a_burst_times_each_call() {
    let mut agent = Agent::new();
    let seen = good(&mut agent, burst("f", 10 * 4096 + 100, 4));
    assert_eq!(seen.series["writes"].len(), 11);
    assert_eq!(seen.series["fsyncs"].len(), 3, "after 4, 8 and the last");
    assert!(seen.series["writes"].iter().all(|ns| *ns > 0));
    assert_eq!(seen.figures["bytes"], 10 * 4096 + 100);
    let whole = agent.extents("f", &[name("f", "1")]);
    assert_eq!(whole, [extent(0, 10 * 4096 + 100, content(&name("f", "1"), 0))]);
    let none = good(&mut agent, burst("g", 4096, 0));
    assert!(!none.series.contains_key("fsyncs"));
}

#[test]
fn a_read_says_what_came_back_and_when_it_changed() {
    let mut agent = Agent::new();
    agent.write("f", 0, 8192, &name("f", "0"));
    let id = agent.send_in(1, Request::Op(read("f", 512, 4096, 50)));
    std::thread::sleep(Duration::from_millis(150));
    let root = agent.root();
    let mut bytes = vec![0; 8192];
    pattern::Pattern::new(&name("f", "1")).fill(0, &mut bytes);
    std::fs::write(root.join("f"), &bytes).unwrap();
    let (seen, result) = seen(agent.answer(id));
    assert_eq!(result, Ok(4096));
    assert_eq!(seen.series["reads"].len(), 50);
    let (first, last) = (&seen.data[0], seen.data.last().unwrap());
    assert_eq!(
        *first,
        (0, vec![extent(512, 4096, content(&name("f", "0"), 512))])
    );
    assert_eq!(last.1, [extent(512, 4096, content(&name("f", "1"), 512))]);
    assert!(last.0 > 0);
    let short = good(&mut agent, read("f", 8192, 4096, 1));
    assert_eq!(
        (short.figures["bytes"], short.data.as_slice()),
        (0, &[(0, Vec::new())][..])
    );
}

#[test]
fn a_pipe_takes_what_it_holds() {
    let mut agent = Agent::new();
    agent.write("f", 0, 2 << 20, &name("f", "1"));
    for (handle, asked, capacity) in [("p", 0, 65_536), ("q", 1 << 20, 1 << 20)] {
        assert_eq!(pipe(&mut agent, handle, asked), capacity);
        let fill = transfer(
            TransferCall::Splice,
            "f",
            &format!("fd:{handle}.w"),
            2 << 20,
            true,
        );
        assert_eq!(good(&mut agent, fill).figures["bytes"], capacity);
        let path = format!("fd:{handle}.r");
        let pending = good(&mut agent, Op::Pending(op::Pending { path: path.clone() }));
        assert_eq!(pending.figures["bytes"], capacity);
        // What comes out begins where the splice did.
        let out = good(&mut agent, read(&path, 0, 8192, 1));
        assert_eq!(
            out.data,
            [(0, vec![extent(0, 8192, content(&name("f", "1"), 0))])]
        );
    }
    let again = ask(
        &mut agent,
        Op::Pipe(op::Pipe {
            handle: text("p"),
            capacity: 0,
        }),
    );
    assert!(again.1.unwrap_err().what.contains("open already"));
}

#[test]
fn tee_sendfile_vmsplice_and_pump_move_bytes() {
    let mut agent = Agent::new();
    agent.write("f", 0, 256 << 10, &name("f", "1"));
    pipe(&mut agent, "p", 0);
    pipe(&mut agent, "q", 0);
    let vmsplice = Op::Vmsplice(op::Vmsplice {
        to: text("fd:p.w"),
        len: 8192,
        pattern: name("f", "0"),
        within_ms: 20_000,
    });
    assert_eq!(good(&mut agent, vmsplice).figures["bytes"], 8192);
    assert_eq!(
        good(
            &mut agent,
            transfer(TransferCall::Tee, "fd:p.r", "fd:q.w", 8192, false)
        )
        .figures["bytes"],
        8192
    );
    for from in ["fd:p.r", "fd:q.r"] {
        let out = good(&mut agent, read(from, 0, 8192, 1));
        assert_eq!(
            out.data,
            [(0, vec![extent(0, 8192, content(&name("f", "0"), 0))])],
            "{from}"
        );
    }
    good(
        &mut agent,
        Op::Socket(op::Socket {
            handle: text("s"),
            sndbuf: 65_536,
            rcvbuf: 0,
        }),
    );
    let consume = Op::Consume(op::Consume {
        from: text("fd:s.b"),
        len: 512 << 10,
        rate: 65_536,
        every_ms: 5,
        within_ms: 20_000,
    });
    let consumer = agent.send_in(1, Request::Op(consume));
    let pump = Op::Pump(op::Pump {
        from: text("f"),
        through: text("p"),
        to: text("fd:s.a"),
        offset: 0,
        len: 256 << 10,
        chunk: 1 << 20,
        within_ms: 20_000,
    });
    let pump = agent.send_in(2, Request::Op(pump));
    let sendfile = transfer(TransferCall::Sendfile, "f", "fd:s.a", 256 << 10, false);
    let sendfile = agent.send_in(2, Request::Op(sendfile));
    let mut answers = agent.answers(&[consumer, pump, sendfile]);
    let (pumped, _) = seen(answers.remove(&pump).unwrap());
    assert_eq!(pumped.figures["bytes"], 256 << 10);
    assert!(
        pumped.series["fills"].len() >= 4,
        "a pipe of 64 KiB was filled four times"
    );
    let (taken, _) = seen(answers.remove(&consumer).unwrap());
    assert_eq!(taken.figures["bytes"], 512 << 10);
}

#[test]
fn a_blocked_lane_is_seen_and_a_deadline_ends_it() {
    let mut agent = Agent::new();
    pipe(&mut agent, "p", 0);
    let mut blocked = read("fd:p.r", 0, 4096, 1);
    if let Op::Read(op::Read { within_ms, .. }) = &mut blocked {
        *within_ms = 600;
    }
    let start = Instant::now();
    let id = agent.send_in(3, Request::Op(blocked));
    let observe = |frames: &[&str], states: &str, within_ms| {
        Op::Observe(op::Observe {
            lane: 3,
            frames: frames.iter().map(|f| text(f)).collect(),
            states: text(states),
            lasting_ms: 50,
            within_ms,
        })
    };
    let watch = agent.send(Request::Op(observe(&[], "S", 10_000)));
    let mut answers = agent.answers(&[id, watch]);
    let (found, result) = seen(answers.remove(&watch).unwrap());
    // The stack is for root only.
    match result {
        Ok(hit) => {
            assert_eq!((hit, found.figures["found"]), (1, 1));
            assert_eq!(found.texts["state"], ["S"]);
        }
        Err(failure) => assert!(matches!(failure.errno, Some(1 | 13)), "{failure:?}"),
    }
    let (_, ended) = seen(answers.remove(&id).unwrap());
    assert!(ended.unwrap_err().what.contains("not done within 600 ms"));
    assert!(start.elapsed() < Duration::from_secs(20));
    // At rest, it will never be seen in that function: known, not a time-out.
    let (found, result) = ask(&mut agent, observe(&["no_such_function"], "D", 60_000));
    if let Ok(hit) = result {
        assert_eq!((hit, found.figures["found"]), (0, 0));
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut agent = Agent::new();
    agent.write("f", 0, 4096, &name("f", "0"));
    let mut no_chunk = burst("f", 4096, 0);
    if let Op::Burst(op::Burst { chunk, .. }) = &mut no_chunk {
        *chunk = 0;
    }
    for op in [
        no_chunk,
        read("f", 100, 512, 1),
        read("f", 0, 512, 0),
        read("f", 0, u64::MAX, 1),
        transfer(TransferCall::Splice, "f", "fd:nowhere", 4096, false),
        Op::Trace(op::Trace {
            name: text("../x"),
            event: text("a:b"),
            filter: String::new(),
            fields: Vec::new(),
        }),
        Op::Consume(op::Consume {
            from: text("f"),
            len: 1,
            rate: 0,
            every_ms: 0,
            within_ms: 1000,
        }),
    ] {
        let words = format!("{op:?}");
        assert!(ask(&mut agent, op).1.is_err(), "{words}");
    }
}
