//! Frames survive any cut of the stream, and nothing hostile gets through.

use coldcut_wire::*;
use proptest::prelude::*;

fn op() -> impl Strategy<Value = Op> {
    let text = "[a-z:/.]{0,12}";
    prop_oneof![
        (text, any::<u32>(), any::<bool>())
            .prop_map(|(path, mode, parents)| Op::Mkdir(coldcut_wire::op::Mkdir { path, mode, parents })),
        (
            text,
            any::<u64>(),
            any::<u64>(),
            any::<u32>(),
            text,
            text,
            any::<[bool; 7]>()
        )
            .prop_map(
                |(
                    path,
                    offset,
                    len,
                    chunk,
                    file,
                    generation,
                    [create, truncate, append, sync, dsync, direct, aio],
                )| {
                    Op::Write(coldcut_wire::op::Write {
                        path,
                        offset,
                        len,
                        chunk,
                        pattern: PatternName { file, generation },
                        flags: WriteFlags {
                            create,
                            truncate,
                            append,
                            sync,
                            dsync,
                            direct,
                            aio,
                        },
                    })
                }
            ),
        (text, text, proptest::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(path, name, value)| Op::Setxattr(coldcut_wire::op::Setxattr { path, name, value })),
        (text, any::<i64>(), any::<i64>()).prop_map(|(path, atime_ns, mtime_ns)| Op::Utimes(
            coldcut_wire::op::Utimes {
                path,
                atime_ns,
                mtime_ns
            }
        )),
        Just(Op::Syncfs),
    ]
}

fn request() -> impl Strategy<Value = ToAgent> {
    let body = prop_oneof![
        op().prop_map(Request::Op),
        Just(Request::Ping),
        prop_oneof![
            any::<u64>().prop_map(DmesgFrom::Record),
            Just(DmesgFrom::Last),
            Just(DmesgFrom::End)
        ]
        .prop_map(Request::Dmesg),
        proptest::collection::vec("[a-z]{1,8}", 0..3).prop_map(|disks| Request::Prepare { disks }),
        (
            proptest::collection::vec(any::<u8>(), 0..64),
            any::<u64>(),
            proptest::collection::vec(any::<u64>(), 0..3)
        )
            .prop_map(|(seed, unix_nanos, capacities)| Request::Resume(ResumeSpec {
                seed,
                unix_nanos,
                capacities
            })),
    ];
    (any::<u32>(), any::<u8>(), body).prop_map(|(id, lane, body)| ToAgent::Request { id, lane, body })
}

proptest! {
    #[test]
    fn messages_survive_any_cut(
        messages in proptest::collection::vec(request(), 0..6),
        cuts in proptest::collection::vec(1_usize..40, 1..10),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|m| encode(m).unwrap()).collect();
        let mut decoder = Decoder::new();
        let mut decoded: Vec<ToAgent> = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*cut));
            decoder.push(now);
            while let Some(message) = decoder.next_message().unwrap() {
                decoded.push(message);
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(decoded, messages);
    }

    #[test]
    fn any_bytes_end_in_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = Decoder::new();
        decoder.push(&bytes);
        while let Ok(Some(message)) = decoder.next_message::<FromAgent>() {
            drop(message);
        }
    }

    #[test]
    fn a_damaged_frame_never_panics(message in request(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut frame = encode(&message).unwrap();
        let at = at.index(frame.len());
        frame[at] = byte;
        let mut decoder = Decoder::new();
        decoder.push(&frame);
        let _ = decoder.next_message::<ToAgent>();
    }
}

fn line(len: usize) -> FromAgent {
    let text = "x".repeat(len);
    FromAgent::Output {
        id: 1,
        output: Output::Line {
            stream: Stream::Stdout,
            text,
        },
    }
}

#[test]
fn the_limit_is_exact() {
    let overhead = encode(&line(MAX_FRAME - 100)).unwrap().len() - 4 - (MAX_FRAME - 100);
    let longest = MAX_FRAME - overhead;
    let frame = encode(&line(longest)).unwrap();
    assert_eq!(frame.len(), 4 + MAX_FRAME);
    let mut decoder = Decoder::new();
    decoder.push(&frame);
    assert_eq!(decoder.next_message().unwrap(), Some(line(longest)));
    let error = encode(&line(longest + 1)).unwrap_err();
    assert!(
        matches!(error, FrameError::TooLong(len) if len == MAX_FRAME as u64 + 1),
        "{error}"
    );
}

#[test]
fn a_length_over_the_limit_is_refused_before_its_payload() {
    let mut decoder = Decoder::new();
    decoder.push(&(MAX_FRAME as u32 + 1).to_le_bytes());
    let error = decoder.next_message::<ToAgent>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "a frame of 1048577 bytes is announced, more than the 1048576 allowed"
    );
}

#[test]
fn bytes_after_the_message_are_refused() {
    let mut frame = encode(&ToAgent::Request {
        id: 1,
        lane: 0,
        body: Request::Ping,
    })
    .unwrap();
    frame.extend([0; 3]);
    let len = frame.len() as u32 - 4;
    frame[..4].copy_from_slice(&len.to_le_bytes());
    let mut decoder = Decoder::new();
    decoder.push(&frame);
    assert!(matches!(
        decoder.next_message::<ToAgent>(),
        Err(FrameError::Trailing(3))
    ));
}

/// A vector whose announced length is huge must not be allocated before its elements are there.
#[test]
fn a_huge_announced_vector_costs_nothing() {
    // FromAgent::Output { id: 0, Output::Entries(len 2^60) }
    let mut payload = vec![1, 0, 1];
    payload.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
    let mut frame = (payload.len() as u32).to_le_bytes().to_vec();
    frame.extend(payload);
    let mut decoder = Decoder::new();
    decoder.push(&frame);
    assert!(matches!(
        decoder.next_message::<FromAgent>(),
        Err(FrameError::Malformed(_))
    ));
}
