//! The handshake and the replies, byte for byte.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use coldcut_core::recording::block::Zeros;

use super::rig::{Rig, WAIT};

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits"))
        .collect()
}

fn connect(rig: &Rig) -> UnixStream {
    let stream = UnixStream::connect(rig.device.path()).expect("a connection");
    stream.set_read_timeout(Some(WAIT)).expect("a timeout");
    stream
}

#[track_caller]
fn expect(stream: &mut UnixStream, text: &str) {
    let expected = hex(text);
    let mut found = vec![0; expected.len()];
    stream.read_exact(&mut found).expect("as many bytes");
    assert_eq!(
        found, expected,
        "\nfound    {found:02x?}\nexpected {expected:02x?}"
    );
}

#[track_caller]
fn expect_closed(stream: &mut UnixStream) {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("an end");
    assert!(rest.is_empty(), "bytes before the end: {rest:02x?}");
}

const GREETING: &str = "4e42444d41474943 49484156454f5054 0003";

fn megabyte() -> Rig {
    Rig::new(Zeros { size: 1 << 20 })
}

#[test]
fn go_describes_the_export_and_starts_transmission() {
    let rig = megabyte();
    let mut stream = connect(&rig);
    expect(&mut stream, GREETING);
    // Client flags; GO, 6 bytes: the empty name and no kinds of information.
    stream
        .write_all(&hex("00000003 49484156454f5054 00000007 00000006 00000000 0000"))
        .expect("sent");
    // INFO EXPORT: 1 MiB; HAS_FLAGS, SEND_FLUSH, SEND_FUA, SEND_TRIM, SEND_WRITE_ZEROES = 0x6d.
    expect(
        &mut stream,
        "0003e889045565a9 00000007 00000003 0000000c 0000 0000000000100000 006d",
    );
    // INFO BLOCK_SIZE: 512, 4096, 32 MiB.
    expect(
        &mut stream,
        "0003e889045565a9 00000007 00000003 0000000e 0003 00000200 00001000 02000000",
    );
    expect(&mut stream, "0003e889045565a9 00000007 00000001 00000000");
    // WRITE FUA, cookie 0x1122334455667788, 512 bytes at 4096; READ of 512 bytes at 4096; FLUSH; both in one packet.
    let mut requests = hex("25609513 0001 0001 1122334455667788 0000000000001000 00000200");
    requests.extend_from_slice(&[0xab; 512]);
    requests.extend(hex(
        "25609513 0000 0000 0000000000000002 0000000000001000 00000200",
    ));
    requests.extend(hex(
        "25609513 0000 0003 0000000000000003 0000000000000000 00000000",
    ));
    stream.write_all(&requests).expect("sent");
    expect(&mut stream, "67446698 00000000 1122334455667788");
    expect(&mut stream, "67446698 00000000 0000000000000002");
    expect(&mut stream, &"ab".repeat(512));
    expect(&mut stream, "67446698 00000000 0000000000000003");
    stream
        .write_all(&hex(
            "25609513 0000 0002 0000000000000004 0000000000000000 00000000",
        ))
        .expect("sent");
    expect_closed(&mut stream);
}

#[test]
fn options_one_after_the_other_even_byte_by_byte() {
    let rig = megabyte();
    let mut stream = connect(&rig);
    expect(&mut stream, GREETING);
    let options = [
        "00000003",
        "49484156454f5054 00000003 00000000",                       // LIST
        "49484156454f5054 00000003 00000001 00",                    // LIST with data
        "49484156454f5054 00000008 00000000",                       // STRUCTURED_REPLY
        "49484156454f5054 00000006 00000009 00000001 78 0001 0003", // INFO, name "x"
        "49484156454f5054 00000006 00000006 00000009 0000",         // INFO, malformed
        "49484156454f5054 7fffffff 00000002 aabb",                  // unknown
        "49484156454f5054 00000002 00000000",                       // ABORT
    ];
    for byte in options.iter().flat_map(|option| hex(option)) {
        stream.write_all(&[byte]).expect("sent");
    }
    expect(
        &mut stream,
        "0003e889045565a9 00000003 00000002 00000004 00000000",
    );
    expect(&mut stream, "0003e889045565a9 00000003 00000001 00000000");
    for (option, error) in [
        ("00000003", "80000003"),
        ("00000008", "80000001"),
        ("00000006", "80000006"),
        ("00000006", "80000003"),
        ("7fffffff", "80000001"),
    ] {
        expect(&mut stream, &format!("0003e889045565a9 {option} {error}"));
        let mut len = [0; 4];
        stream.read_exact(&mut len).expect("a length");
        let mut text = vec![0; u32::from_be_bytes(len) as usize];
        stream.read_exact(&mut text).expect("a text");
        assert!(!text.is_empty() && text.is_ascii(), "an explanation: {text:02x?}");
    }
    expect(&mut stream, "0003e889045565a9 00000002 00000001 00000000");
    expect_closed(&mut stream);
}

#[test]
fn export_name_with_and_without_padding() {
    for (flags, padding) in [("00000003", 0), ("00000001", 124), ("00000000", 124)] {
        let rig = megabyte();
        let mut stream = connect(&rig);
        expect(&mut stream, GREETING);
        stream
            .write_all(&hex(&format!("{flags} 49484156454f5054 00000001 00000000")))
            .expect("sent");
        expect(&mut stream, "0000000000100000 006d");
        expect(&mut stream, &"00".repeat(padding));
        stream
            .write_all(&hex(
                "25609513 0000 0003 0000000000000003 0000000000000000 00000000",
            ))
            .expect("sent");
        expect(&mut stream, "67446698 00000000 0000000000000003");
    }
}

#[test]
fn what_breaks_the_handshake_closes_the_connection() {
    for bytes in [
        "00000007",                                       // an unknown client flag
        "00000003 49484156454f5055 00000003 00000000",    // a wrong option magic
        "00000003 49484156454f5054 00000003 00010001",    // an option of more than 64 KiB
        "00000003 49484156454f5054 00000001 00000001 78", // EXPORT_NAME of an export that is not there
        "00000000 49484156454f5054 00000003 00000000",    // LIST without the fixed handshake
    ] {
        let rig = megabyte();
        let mut stream = connect(&rig);
        expect(&mut stream, GREETING);
        stream.write_all(&hex(bytes)).expect("sent");
        expect_closed(&mut stream);
        rig.client().flush().expect("the next client is served");
    }
}
