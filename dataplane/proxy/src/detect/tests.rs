//! Which service a session gets, whatever the pieces its first bytes come in; and that none of them is lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::event::Event;
use super::fuzz::{all, name, pieces, session};
use super::limits::{CHUNKS_MAX, CLIENT_BYTES_MAX, METHOD_MAX, REQUEST_LINE_MAX, SERVER_BYTES_MAX};
use super::{Settings, run};
use crate::memory::{ConnectAnswer, World, duplex};
use crate::outcome::{Outcome, Reason};
use crate::session::{Session, SessionId, SessionInfo};
use crate::stream::Stream;

const SECOND: Duration = Duration::from_secs(1);

/// Only what is found by the client's words.
fn of_clients() -> Settings {
    Settings { ssh: None, ftp: None, smtp: None, pop3: None, imap: None, ..all() }
}

/// A `ClientHello` that asks for this name, in records of at most so many bytes.
pub(super) fn hello(name: &str, record: usize) -> Vec<u8> {
    let name_list = [&[0][..], &(name.len() as u16).to_be_bytes(), name.as_bytes()].concat();
    let list = [&(name_list.len() as u16).to_be_bytes()[..], &name_list].concat();
    let extension = [&[0, 0][..], &(list.len() as u16).to_be_bytes(), &list].concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    body.extend((extension.len() as u16).to_be_bytes());
    body.extend(extension);
    let message = [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat();
    let records =
        message.chunks(record).map(|part| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat());
    records.collect::<Vec<_>>().concat()
}

#[test]
fn every_protocol_in_any_pieces() {
    let (bank, ads, plain) =
        (hello("www.bank.example", 1 << 14), hello("ads.bank.example", 1 << 14), hello("a.example", 40));
    let cases: &[(&[u8], &[u8], u16, &str)] = &[
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"", 80, "http"),
        (b"\r\nGET /a HTTP/1.0\n\n", b"", 80, "http"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"", 80, "http"),
        (&bank, b"", 443, "bank"),
        (&ads, b"", 443, "tls"),
        (&plain, b"", 443, "tls"),
        (b"SSH-2.0-client\r\n", b"", 22, "ssh"),
        (b"", b"SSH-2.0-server\r\n", 22, "ssh"),
        (b"", b"220 host ESMTP ready\r\n", 4000, "smtp"),
        (b"", b"220-host.example FTP server\r\n220 ready\r\n", 4000, "ftp"),
        (b"", b"220 ready\r\n", 21, "ftp"),
        (b"", b"220 ready\r\n", 587, "smtp"),
        (b"", b"554 no\r\n", 4000, "smtp"),
        (b"", b"120 wait\r\n", 4000, "ftp"),
        (b"", b"+OK POP3 ready\r\n", 110, "pop3"),
        (b"", b"* OK IMAP4rev1\r\n", 143, "imap"),
        (b"", b"* PREAUTH\r\n", 143, "imap"),
        // Early words of a client whose server greets: no detector of clients knows them, the server's does.
        (b"EHLO me\r\n", b"220 ESMTP\r\n", 25, "smtp"),
    ];
    for (client, server, port, service) in cases {
        let said = client.len().max(server.len());
        let bytewise = |bytes: &'static [u8]| bytes.chunks(1).collect::<Vec<_>>();
        let leaked = |bytes: &[u8]| -> &'static [u8] { Box::leak(bytes.to_vec().into_boxed_slice()) };
        let (client, server) = (leaked(client), leaked(server));
        let mut pieces = vec![(bytewise(client), bytewise(server))];
        for cut in 0..=said {
            let split = |bytes: &'static [u8]| {
                let (first, second) = bytes.split_at(cut.min(bytes.len()));
                [first, second].into_iter().filter(|piece| !piece.is_empty()).collect::<Vec<_>>()
            };
            pieces.push((split(client), split(server)));
        }
        for (client_says, server_says) in pieces {
            let result = session(all(), *port, &client_says, Some(&server_says));
            let shown = String::from_utf8_lossy(if client.is_empty() { server } else { client });
            assert_eq!(result.service.as_deref(), Some(*service), "{shown}");
            assert_eq!((&*result.at_server, &*result.at_client), (client, server), "{shown}");
            assert_eq!((result.reason, result.connects), (Reason::Finished, 1), "{shown}");
        }
    }
}

#[test]
fn nobody_is_asked_where_only_clients_are_looked_at() {
    let result = session(of_clients(), 80, &[b"GET / HTTP/1.1\r\n\r\n"], Some(&[b"HTTP/1.1 200 OK\r\n\r\n"]));
    assert_eq!((result.service.as_deref(), result.connects), (Some("http"), 1), "once, by who serves it");
    assert_eq!(result.at_client, b"HTTP/1.1 200 OK\r\n\r\n");
    let silent = session(of_clients(), 80, &[], Some(&[]));
    assert_eq!((silent.service, silent.reason, silent.connects), (None, Reason::NotDetected, 0));
}

#[test]
fn what_is_unknown_gets_the_default_or_a_reset() {
    for said in [&b"\x05\x01\x00"[..], b"GET /\r\n", b"EHLO a\r\n", b"\x16\x02\x00", b"{}", b"SSH", b" / HTTP/1.1\r\n"]
    {
        let refused = session(of_clients(), 80, &[said], Some(&[]));
        let late = said == b"SSH";
        assert_eq!((refused.service, refused.reason, refused.connects), (None, Reason::NotDetected, 0), "{said:?}");
        assert_eq!(refused.at_server, b"");
        let settings = Settings { default: name("other"), ..of_clients() };
        let result = session(settings, 80, &[said], Some(&[b"hello"]));
        assert_eq!((result.service.as_deref(), result.at_server), (Some("other"), said.to_vec()), "{said:?} {late}");
        assert_eq!(result.at_client, b"hello");
    }
    let settings = Settings { default: name("other"), ..all() };
    let both = session(settings, 80, &[b"?"], Some(&[b"!"]));
    assert_eq!((both.service.as_deref(), &*both.at_server, &*both.at_client), (Some("other"), &b"?"[..], &b"!"[..]));
}

#[test]
fn the_time_is_over() {
    let settings = Settings { default: name("other"), ..all() };
    let result = session(settings, 80, &[b"GET /half"], Some(&[b"22"]));
    assert_eq!((result.service.as_deref(), result.reason), (Some("other"), Reason::Finished));
    assert_eq!((&*result.at_server, &*result.at_client), (&b"GET /half"[..], &b"22"[..]));
    let mut world = World::new();
    let (client, client_leg) = duplex(100);
    let info = SessionInfo {
        client: "192.168.1.5:40000".parse().expect("an address"),
        original_destination: "10.0.0.9:80".parse().expect("an address"),
        service: "any".into(),
        client_zone: None,
        server_zone: None,
        interface: "intra".into(),
        idle: 60 * SECOND,
        total: None,
    };
    world.host().answer_connect(ConnectAnswer::Never);
    let session = Session { id: SessionId(7), host: world.host(), client: client_leg, info };
    let outcome = world.spawn(async move { run(session, Arc::new(all())).await });
    assert_eq!(world.run(), 0);
    assert_eq!((outcome.take(), world.now()), (Some(Outcome::unserved(Reason::NotDetected)), 5 * SECOND));
    assert_eq!(world.host().counted(Event::TimedOut), 1);
    drop(client);
}

#[test]
fn a_server_that_refuses_is_told_only_when_the_client_said_nothing_known() {
    let known = session(all(), 80, &[b"GET / HTTP/1.1\r\n\r\n"], None);
    assert_eq!((known.service.as_deref(), known.reason), (Some("http"), Reason::ConnectRefused), "by the inner proxy");
    let unknown = session(all(), 80, &[b"?"], None);
    assert_eq!((unknown.service, unknown.reason), (None, Reason::ConnectRefused));
}

#[test]
fn long_beginnings_are_bounded() {
    let line = vec![b'a'; REQUEST_LINE_MAX];
    let long = [&b"GET /"[..], &line].concat();
    let settings = || Settings { default: name("other"), ..of_clients() };
    let result = session(settings(), 80, &[&long], Some(&[]));
    assert_eq!((result.service.as_deref(), result.at_server.len()), (Some("other"), long.len()));
    let method = [&vec![b'A'; METHOD_MAX + 1][..], b" / HTTP/1.1\r\n"].concat();
    assert_eq!(session(settings(), 80, &[&method], Some(&[])).service.as_deref(), Some("other"));
    // A hello that never ends, in records of one byte.
    let endless: Vec<u8> =
        [22, 3, 1, 0, 1].iter().copied().chain([1]).chain([22, 3, 1, 0, 1, 0].repeat(CLIENT_BYTES_MAX / 6)).collect();
    let result = session(settings(), 443, &[&endless], Some(&[]));
    assert_eq!((result.service.as_deref(), result.at_server.len()), (Some("tls"), endless.len()));
    let greeting = [&b"220 "[..], &vec![b'x'; SERVER_BYTES_MAX]].concat();
    let settings = Settings { http: None, tls: None, sni: Vec::new(), default: name("other"), ..all() };
    let result = session(settings, 80, &[], Some(&[&greeting]));
    assert_eq!((result.service.as_deref(), result.at_client.len()), (Some("other"), greeting.len()));
}

#[test]
fn crumbs_do_not_hold_a_buffer_each() {
    let mut peeked = super::Peeked::<Bytes>::new();
    for n in 0..100_u8 {
        peeked.push(Bytes::from(vec![n]));
        assert!(peeked.held() <= CHUNKS_MAX);
    }
    let (mut near, _far) = duplex(1_000);
    peeked.put_back(&mut near);
    let mut world = World::new();
    let read = world.spawn(async move {
        let mut read = Vec::new();
        while read.len() < 100 {
            read.extend_from_slice(&near.read().await.ok().flatten().unwrap_or_default());
        }
        read
    });
    world.run();
    assert_eq!(read.take(), Some((0..100).collect::<Vec<u8>>()));
}

#[test]
fn a_client_that_goes_away_ends_it() {
    let mut world = World::new();
    let (mut client, client_leg) = duplex(100);
    let info = SessionInfo {
        client: "192.168.1.5:40000".parse().expect("an address"),
        original_destination: "10.0.0.9:80".parse().expect("an address"),
        service: "any".into(),
        client_zone: None,
        server_zone: None,
        interface: "intra".into(),
        idle: 60 * SECOND,
        total: None,
    };
    world.host().answer_connect(ConnectAnswer::Never);
    let session = Session { id: SessionId(7), host: world.host(), client: client_leg, info };
    let outcome = world.spawn(async move { run(session, Arc::new(all())).await });
    client.abort();
    assert_eq!(world.run(), 0);
    assert_eq!((outcome.take(), world.now()), (Some(Outcome::unserved(Reason::ClientReset)), Duration::ZERO));
}

proptest! {
    /// Whatever either side says, in whatever pieces: the same service, and not a byte lost.
    #[test]
    fn whatever_is_said(
        said in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            "(GET|P O|SSH-|EHLO|\u{16}\u{3}\u{1}|220|\r\n)[ -~]{0,20}( HTTP/1.1)?\r\n".prop_map(String::into_bytes),
        ],
        answered in "(220|\\+OK|\\* OK|SSH-|HTTP/1.1 200)?[ -~]{0,20}\r\n".prop_map(String::into_bytes),
        piece in 1..30_usize,
    ) {
        pieces(&said, &answered, piece);
    }
}
