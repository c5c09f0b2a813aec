//! Anything that clients and servers may say: the session ends, what goes on is well-formed, and pieces make no difference.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;

use super::peer::{CLIENT, Cut, Peer, SERVER, play};
use crate::ftp::Settings;
use crate::ftp::line::LineReader;
use crate::outcome::Outcome;
use crate::stream::{Chunk, Stream};

const COMMANDS: &[&str] = &[
    "USER joe",
    "PASS secret",
    "ACCT x",
    "PWD",
    "CWD a",
    "CWD ..",
    "TYPE I",
    "TYPE E",
    "PASV",
    "EPSV",
    "EPSV ALL",
    "PORT 192,168,1,5,200,1",
    "PORT 10,0,0,9,0,25",
    "EPRT |1|192.168.1.5|51201|",
    "RETR a",
    "STOR a",
    "LIST",
    "ABOR",
    "STAT",
    "FEAT",
    "RNFR a",
    "RNTO b",
    "REIN",
    "AUTH TLS",
    "PBSZ 0",
    "PROT P",
    "CCC",
    "XYZZY",
    "QUIT",
    "NOOP",
    "",
    "SITE X",
    "OPTS UTF8 ON",
    "LPRT 1",
    "\u{e4}",
];

const REPLIES: &[&str] = &[
    "220 ready",
    "120 soon",
    "331 ?",
    "332 ??",
    "230 in",
    "530 no",
    "200 ok",
    "227 (10,0,0,9,195,80)",
    "227 (10,0,0,8,195,80)",
    "229 (|||50000|)",
    "150 open",
    "125 open",
    "226 done",
    "426 broken",
    "421 bye",
    "500 what",
    "550 no",
    "257 /",
    "350 and",
    "211-a\r\n b\r\n211 c",
    "221 bye",
    "213 5",
    "999 x",
    "hello",
    "",
];

const ODDITIES: &[&[u8]] = &[b"\r", b"\n", b"\0", b"\xff\xf4", b"\xff\xfa", b"\xff\xff"];

fn said(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        12 => prop::sample::select(words).prop_map(|word| format!("{word}\r\n").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
        1 => prop::sample::select(ODDITIES).prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(line, 0..24).prop_map(|lines| lines.concat())
}

/// What both ends heard, and how it ended.
fn session(client: &[u8], server: &[u8], cut: Cut) -> (Vec<u8>, Vec<u8>, Outcome) {
    let heard = Rc::new(RefCell::new((Vec::new(), Vec::new())));
    let (kept, client, server) = (Rc::clone(&heard), client.to_vec(), server.to_vec());
    let settings = Settings { idle: Duration::from_secs(20), ..Settings::default() };
    let (outcome, _) = play(settings, cut, (CLIENT, SERVER), |mut played| async move {
        for _ in 0..8 {
            // Ends that connect, and say nothing.
            drop(played.accepts());
        }
        // The server speaks once for each line it hears, as servers do, and once before.
        let mut replies: Vec<Vec<u8>> = server.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        replies.reverse();
        played.client.sends(&client).await;
        played.client.stream.shutdown();
        loop {
            if let Some(reply) = replies.pop() {
                played.server.sends(&reply).await;
            } else {
                played.server.stream.shutdown();
            }
            let mut heard = std::mem::take(&mut kept.borrow_mut().1);
            let more = hear_line(&mut played.server, &mut heard).await;
            kept.borrow_mut().1 = heard;
            if !more {
                break;
            }
        }
        played.server.stream.shutdown();
        while let Ok(Some(chunk)) = played.client.stream.read().await {
            kept.borrow_mut().0.extend_from_slice(chunk.as_slice());
        }
    });
    let (at_client, at_server) = heard.take();
    (at_client, at_server, outcome)
}

async fn hear_line(peer: &mut Peer, all: &mut Vec<u8>) -> bool {
    loop {
        match peer.stream.read().await {
            Ok(Some(chunk)) => {
                all.extend_from_slice(chunk.as_slice());
                if all.ends_with(b"\n") {
                    return true;
                }
            }
            _ => return false,
        }
    }
}

/// Is it lines and nothing else?
fn is_lines(bytes: &[u8]) -> bool {
    let mut reader = LineReader::new(10_000);
    let mut rest = bytes;
    while !rest.is_empty() {
        match reader.take(rest) {
            Ok((taken, _)) => rest = &rest[taken..],
            Err(_) => return false,
        }
    }
    !reader.has_begun()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn sessions_end_and_are_the_same_in_pieces(client in said(COMMANDS), server in said(REPLIES), at in 0_usize..200) {
        let whole = session(&client, &server, Cut::Whole);
        prop_assert!(is_lines(&whole.0) && is_lines(&whole.1), "{:?}", whole);
        prop_assert!(!whole.1.windows(4).any(|four| four == b"LPRT" || four == b"XYZZ"));
        for cut in [Cut::Bytes, Cut::At(at)] {
            let pieces = session(&client, &server, cut);
            prop_assert_eq!(&whole, &pieces);
        }
    }
}
