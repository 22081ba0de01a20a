//! The connection itself.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use coldcut_wire::*;

use crate::harness::Agent;

#[test]
fn hello_says_who_it_is() {
    let agent = Agent::unmounted();
    assert_eq!(agent.hello.protocol, PROTOCOL);
    assert_eq!(agent.hello.agent, env!("CARGO_PKG_VERSION"));
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(agent.hello.release, release.trim());
    assert!(agent.hello.uptime_ns > 0);
    assert!(agent.hello.problems.is_empty());
}

#[test]
fn ping_is_answered_while_an_operation_runs() {
    let mut agent = Agent::new();
    let start = Instant::now();
    let sleep = agent.send(Request::Op(Op::Sleep(op::Sleep { millis: 2000 })));
    let ping = agent.send(Request::Ping);
    assert_eq!(
        agent.receive(),
        Some(FromAgent::Done {
            id: ping,
            result: Ok(Done::Ok)
        })
    );
    assert!(start.elapsed() < Duration::from_millis(1900));
    assert!(agent.answer(sleep).result.is_ok());
}

#[test]
fn requests_run_in_order_and_too_many_are_refused() {
    let mut agent = Agent::new();
    let sleep = agent.send(Request::Op(Op::Sleep(op::Sleep { millis: 1000 })));
    let ids: Vec<_> = (0..80).map(|_| agent.send(Request::Op(Op::Sync))).collect();
    let mut done = Vec::new();
    let mut refused = Vec::new();
    for _ in 0..81 {
        match agent.receive() {
            Some(FromAgent::Done { id, result: Ok(_) }) => done.push(id),
            Some(FromAgent::Done {
                id,
                result: Err(failure),
            }) => {
                assert!(failure.what.contains("waiting already"), "{failure:?}");
                refused.push(id);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(done[0], sleep);
    assert!(done.is_sorted() && (64..=66).contains(&done.len()), "{done:?}");
    assert_eq!(refused.len(), 81 - done.len());
    assert!(refused.iter().all(|id| ids.contains(id)));
}

#[test]
fn power_off_answers_and_ends_even_while_an_operation_runs() {
    let mut agent = Agent::new();
    agent.send(Request::Op(Op::Sleep(op::Sleep { millis: 60_000 })));
    let id = agent.send(Request::PowerOff);
    assert_eq!(
        agent.receive(),
        Some(FromAgent::Done {
            id,
            result: Ok(Done::Ok)
        })
    );
    assert_eq!(agent.receive(), None);
    assert_eq!(agent.exit_code(), Some(0));
}

#[test]
fn the_end_of_the_channel_is_the_end() {
    assert_eq!(Agent::new().exit_code(), Some(0));
}

#[test]
fn what_is_no_frame_ends_the_agent_with_an_error() {
    for bytes in [vec![0xff; 8], vec![1, 0, 0, 0, 0x77], vec![0, 0, 0, 0]] {
        let mut agent = Agent::new();
        agent.send_bytes(&bytes);
        assert_eq!(agent.receive(), None, "{bytes:?}");
        assert_eq!(agent.exit_code(), Some(1), "{bytes:?}");
    }
}

#[test]
fn a_frame_may_come_byte_by_byte() {
    let mut agent = Agent::new();
    for byte in encode(&ToAgent::Request {
        id: 7,
        lane: 0,
        body: Request::Ping,
    })
    .unwrap()
    {
        agent.send_bytes(&[byte]);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(agent.answer(7).result, Ok(Done::Ok));
}

#[test]
fn standard_streams_serve_as_well() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coldcut-agent"))
        .arg("--stdio")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(
            &encode(&ToAgent::Request {
                id: 1,
                lane: 0,
                body: Request::Ping,
            })
            .unwrap(),
        )
        .unwrap();
    drop(input);
    let mut bytes = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    assert!(child.wait().unwrap().success());
    let mut decoder = Decoder::new();
    decoder.push(&bytes);
    assert!(matches!(
        decoder.next_message().unwrap(),
        Some(FromAgent::Hello(_))
    ));
    let pong: Option<FromAgent> = decoder.next_message().unwrap();
    assert_eq!(
        pong,
        Some(FromAgent::Done {
            id: 1,
            result: Ok(Done::Ok)
        })
    );
}

#[test]
fn wrong_arguments_get_the_usage() {
    for arguments in [&[][..], &["--connect"], &["--serve", "x"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_coldcut-agent"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("usage: "));
    }
    let output = Command::new(env!("CARGO_BIN_EXE_coldcut-agent"))
        .args(["--connect", "/nonexistent/socket"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_kernels_log_or_the_kernels_refusal() {
    let mut agent = Agent::new();
    let answer = agent.ask(Request::Dmesg(DmesgFrom::Record(0)));
    match answer.result {
        Ok(Done::Dmesg { next }) => {
            let lines: Vec<DmesgLine> = answer
                .outputs
                .into_iter()
                .flat_map(|output| match output {
                    Output::Dmesg(lines) => lines,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert!(lines.is_sorted_by_key(|line| line.seq));
            assert!(lines.iter().all(|line| line.seq < next && line.level < 8));
            let again = agent.ask(Request::Dmesg(DmesgFrom::Record(next)));
            assert!(matches!(again.result, Ok(Done::Dmesg { next: more }) if more >= next));
        }
        Ok(other) => panic!("{other:?}"),
        Err(failure) => assert!(matches!(failure.errno, Some(1 | 2 | 13)), "{failure:?}"),
    }
}
