//! Programs that the agent runs.

use std::time::{Duration, Instant};

use coldcut_wire::*;

use crate::harness::{Agent, Answer};

fn sh(script: &str, timeout_ms: u64) -> ExecSpec {
    ExecSpec {
        argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()],
        env: Vec::new(),
        cwd: String::new(),
        root: None,
        timeout_ms,
    }
}

fn lines(answer: &Answer, of: Stream) -> Vec<&str> {
    let line = |output| match output {
        &Output::Line { stream, ref text } if stream == of => Some(text.as_str()),
        _ => None,
    };
    answer.outputs.iter().filter_map(line).collect()
}

fn gone(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // Its new parent may not have collected it yet.
    stat.map_or(true, |stat| {
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
    })
}

#[test]
fn both_outputs_and_the_code() {
    let mut agent = Agent::new();
    let answer = agent.ask(Request::Exec(sh(
        "echo one; echo two >&2; printf 'three\\n\\nlast'; exit 3",
        20_000,
    )));
    assert_eq!(answer.result, Ok(Done::Exec { code: 3 }));
    assert_eq!(lines(&answer, Stream::Stdout), ["one", "three", "", "last"]);
    assert_eq!(lines(&answer, Stream::Stderr), ["two"]);
}

#[test]
fn a_signal_is_128_and_more() {
    let mut agent = Agent::new();
    let answer = agent.ask(Request::Exec(sh("kill -TERM $$", 20_000)));
    assert_eq!(answer.result, Ok(Done::Exec { code: 143 }));
}

#[test]
fn lines_come_while_the_program_runs() {
    let mut agent = Agent::new();
    let id = agent.send(Request::Exec(sh(
        "echo ready; while [ ! -e go ]; do sleep 0.01; done; echo went",
        20_000,
    )));
    let ready = agent.receive();
    let expected = |text: &str| {
        let output = Output::Line {
            stream: Stream::Stdout,
            text: text.to_owned(),
        };
        Some(FromAgent::Output { id, output })
    };
    assert_eq!(ready, expected("ready"));
    std::fs::write(agent.root().join("go"), "").unwrap();
    assert_eq!(agent.receive(), expected("went"));
    assert_eq!(
        agent.receive(),
        Some(FromAgent::Done {
            id,
            result: Ok(Done::Exec { code: 0 })
        })
    );
}

#[test]
fn where_it_runs_and_what_it_sees() {
    let mut agent = Agent::new();
    std::fs::create_dir_all(agent.root().join("a/b")).unwrap();
    let mut spec = sh("pwd; echo $GREETING; env | wc -l; umask; cat", 20_000);
    spec.cwd = "a/b".to_owned();
    spec.env = vec![("GREETING".to_owned(), "hello there".to_owned())];
    let answer = agent.ask(Request::Exec(spec));
    assert_eq!(answer.result, Ok(Done::Exec { code: 0 }));
    let out = lines(&answer, Stream::Stdout);
    let cwd = agent.root().join("a/b").canonicalize().unwrap();
    assert_eq!(out[..2], [cwd.to_str().unwrap(), "hello there"]);
    // PATH, HOME, GREETING and what the shell itself adds (PWD; bash also SHLVL and _).
    assert!(out[2].trim().parse::<u32>().unwrap() <= 6, "{out:?}");
    assert!(out[3].chars().all(|c| c == '0'), "{out:?}");
}

#[test]
fn a_timeout_kills_the_whole_group() {
    let mut agent = Agent::new();
    let start = Instant::now();
    let answer = agent.ask(Request::Exec(sh("sleep 100 & echo $!; sleep 100", 300)));
    let failure = answer.result.as_ref().unwrap_err();
    assert_eq!(failure.what, "exec /bin/sh: killed after 300 ms");
    assert!(start.elapsed() < Duration::from_secs(20));
    let pid = lines(&answer, Stream::Stdout)[0].to_owned();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !gone(&pid) {
        assert!(Instant::now() < deadline, "process {pid} of the group lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(agent.ask(Request::Ping).result, Ok(Done::Ok));
}

#[test]
fn a_daemon_that_holds_the_output_does_not_hold_the_answer() {
    let mut agent = Agent::new();
    let start = Instant::now();
    let answer = agent.ask(Request::Exec(sh("sleep 30 & echo $!; exit 0", 20_000)));
    assert_eq!(answer.result, Ok(Done::Exec { code: 0 }));
    assert!(start.elapsed() < Duration::from_secs(15));
    let pid: i32 = lines(&answer, Stream::Stdout)[0].parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("the daemon must still live");
}

#[test]
fn much_output_arrives_whole() {
    let mut agent = Agent::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
    let answer = agent.ask(Request::Exec(sh(script, 60_000)));
    assert_eq!(answer.result, Ok(Done::Exec { code: 0 }));
    let out = lines(&answer, Stream::Stdout);
    assert_eq!((out.len(), out[19_999]), (20_000, "line 19999"));
}

#[test]
fn long_lines_are_cut() {
    let mut agent = Agent::new();
    let answer = agent.ask(Request::Exec(sh("printf '%05000d\\nnext\\n' 7", 20_000)));
    let out = lines(&answer, Stream::Stdout);
    assert_eq!((out[0].len(), out[1]), (4096, "next"));
}

#[test]
fn what_cannot_run_is_said() {
    let mut agent = Agent::new();
    let run = |agent: &mut Agent, spec| agent.ask(Request::Exec(spec)).result.unwrap_err();
    let mut spec = sh("", 1000);
    spec.argv[0] = "/nonexistent/program".to_owned();
    let failure = run(&mut agent, spec.clone());
    assert_eq!(
        (failure.errno, failure.what.as_str()),
        (Some(2), "exec /nonexistent/program: No such file or directory")
    );
    spec.argv[0] = "no-such-program-anywhere".to_owned();
    assert_eq!(run(&mut agent, spec.clone()).errno, Some(2));
    spec.argv[0] = "../bin/sh".to_owned();
    assert!(run(&mut agent, spec.clone()).what.contains("`..`"));
    spec.argv.clear();
    assert_eq!(run(&mut agent, spec).what, "exec: argv is empty");
    let mut spec = sh("true", 1000);
    spec.cwd = "missing".to_owned();
    assert_eq!(run(&mut agent, spec).errno, Some(2));
    let mut spec = sh("true", 1000);
    spec.env = vec![("A=B".to_owned(), String::new())];
    assert!(run(&mut agent, spec).what.contains("`A=B`"));
}

#[test]
fn a_root_is_a_chroot_or_needs_privilege() {
    let mut agent = Agent::new();
    let root = agent.root();
    let mut spec = sh("", 20_000);
    spec.root = Some(root.to_str().unwrap().to_owned());
    let failure = agent.ask(Request::Exec(spec)).result.unwrap_err();
    // As root: the empty directory holds no /bin/sh. Otherwise chroot itself is refused.
    let expected = if rustix::process::geteuid().is_root() {
        2
    } else {
        1
    };
    assert!(
        failure.errno == Some(expected) || failure.errno == Some(1),
        "{failure:?}"
    );
}

fn verify(script: &str) -> Request {
    Request::Verify(VerifySpec {
        exec: sh(script, 20_000),
        acknowledged: vec!["row 1".to_owned(), "row 2".to_owned()],
        begun: vec!["row 3".to_owned()],
        most_output: 1000,
    })
}

#[test]
fn a_judge_gets_what_was_acknowledged_and_what_was_begun() {
    let mut agent = Agent::new();
    let answer = agent.ask(verify(
        "cat; cat $COLDCUT_ACKED; cat $COLDCUT_BEGUN; echo $COLDCUT_ACKED >&2; exit 1",
    ));
    assert_eq!(answer.result, Ok(Done::Exec { code: 1 }));
    let expected = [
        "acknowledged row 1",
        "acknowledged row 2",
        "begun row 3",
        "row 1",
        "row 2",
        "row 3",
    ];
    assert_eq!(lines(&answer, Stream::Stdout), expected);
    let file = lines(&answer, Stream::Stderr)[0].to_owned();
    assert!(!std::path::Path::new(&file).exists(), "{file} is left behind");
}

#[test]
fn a_judge_that_floods_is_killed() {
    let mut agent = Agent::new();
    let start = Instant::now();
    let answer = agent.ask(verify("while :; do echo flood; done"));
    let failure = answer.result.unwrap_err();
    assert!(failure.what.contains("more than 1000 bytes"), "{failure:?}");
    assert!(start.elapsed() < Duration::from_secs(15));
}

/// Prints whether its standard output is a terminal, and then what a pipe would hold back.
#[test]
fn a_terminal_is_what_programs_print_lines_on() {
    let mut agent = Agent::new();
    let script = "test -t 1 && echo terminal || echo pipe; printf 'a\\tb\\n'; echo error >&2; exit 4";
    for (request, expected) in [
        (Request::ExecOnTerminal(sh(script, 20_000)), "terminal"),
        (Request::Exec(sh(script, 20_000)), "pipe"),
    ] {
        let answer = agent.ask(request);
        assert_eq!(answer.result, Ok(Done::Exec { code: 4 }));
        assert_eq!(lines(&answer, Stream::Stdout), [expected, "a\tb"]);
        assert_eq!(lines(&answer, Stream::Stderr), ["error"]);
    }
}
