//! Messages through a scanner that is played: every verdict and every way to give none, in every split, with what the
//! client gets, what the server sees, and what is counted.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::scene::{WINDOW, client, info, message_end, statuses_of};
use crate::event::Event as AnyEvent;
use crate::host::{ConnectError, Host};
use crate::http::event::Event as HttpEvent;
use crate::http::{Settings, run};
use crate::icap::{self, Event, Otherwise};
use crate::memory::{ConnectAnswer, MemoryHost, MemoryStream, World, duplex};
use crate::outcome::Reason;
use crate::session::{Session, SessionId};
use crate::stream::Stream;

const EICAR: &str = "X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n";

/// What the scanner does with what it is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// 204, to the preview if there is one.
    Clean,
    /// Wants all, then gives it back.
    Echo,
    /// Gives back as it comes, without waiting for the end.
    Stream,
    /// Wants all, then 403 with a threat's name.
    Infected,
    /// 200 with a page of its own at once, and reads no more.
    Early,
    /// 200 with another head and body.
    Change,
    /// A length that is not that of the body.
    WrongLength(&'static str),
    /// This, whatever was asked.
    Says(&'static str),
    /// Nothing.
    Silent,
    /// Its FIN.
    Close,
    /// Half of an answer, then its FIN.
    Half,
}

/// One message as the scanner got it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    head: String,
    heads: String,
    body: Vec<u8>,
    ieof: bool,
}

/// Everything of one session.
struct Play {
    settings: icap::Settings,
    does: Does,
    options: &'static str,
    /// Bytes of a piece in which the scanner speaks.
    piece: usize,
    request: Vec<Bytes>,
    response: Vec<Bytes>,
    /// Where the scanner's connections come to.
    scanners: usize,
}

struct Played {
    heard: Vec<u8>,
    failed: bool,
    seen: Vec<Seen>,
    /// What the server got.
    server: Vec<u8>,
    host: MemoryHost,
    reason: Reason,
}

const OPTIONS: &str = "Methods: RESPMOD, REQMOD\r\nISTag: \"t1\"\r\nAllow: 204\r\nPreview: 16\r\nOptions-TTL: 600\r\n";
const GET: &str = "GET /file.bin HTTP/1.1\r\nHost: a\r\n\r\n";

impl Play {
    fn respmod(does: Does, response: &str) -> Play {
        let settings = icap::Settings { respmod: Some("/scan".into()), ..scanner_settings() };
        Play {
            settings,
            does,
            options: OPTIONS,
            piece: usize::MAX,
            request: vec![Bytes::from(GET)],
            response: vec![Bytes::copy_from_slice(response.as_bytes())],
            scanners: 4,
        }
    }

    fn reqmod(does: Does, request: &str) -> Play {
        let settings = icap::Settings { reqmod: Some("/ask".into()), ..scanner_settings() };
        let request = vec![Bytes::copy_from_slice(request.as_bytes())];
        Play { settings, request, ..Play::respmod(does, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
    }

    fn run(self) -> Played {
        let mut world = World::new();
        let (ours, leg) = duplex(WINDOW);
        let (server_leg, server) = duplex(WINDOW);
        let host = world.host();
        host.answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(server_leg)));
        let seen = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..self.scanners {
            let (leg, scanner) = duplex(WINDOW);
            host.answer_related(ConnectAnswer::After(Duration::ZERO, Ok(leg)));
            let _ = world.spawn(scan(scanner, self.does, self.options, self.piece, Rc::clone(&seen)));
        }
        host.answer_related(ConnectAnswer::After(Duration::ZERO, Err(ConnectError::Refused)));
        let session = Session { id: SessionId(7), host: world.host(), client: leg, info: info() };
        let settings = Settings { icap: Some(Arc::new(self.settings)), ..Settings::default() };
        let outcome = world.spawn(run(session, Arc::new(settings)));
        let got = Rc::new(RefCell::new(Vec::new()));
        let _ = world.spawn(serve(server, self.response, Rc::clone(&got)));
        let heard = world.spawn(client(ours, self.request, true));
        world.run();
        let (heard, failed) = heard.take().expect("the client hears an end");
        let outcome = outcome.take().expect("the session has ended");
        let (seen, server) = (seen.borrow().clone(), got.borrow().clone());
        Played { heard, failed: failed.is_some(), seen, server, host, reason: outcome.reason }
    }
}

impl Played {
    fn statuses(&self) -> Vec<String> {
        statuses_of(&self.heard, false).0
    }

    fn counted(&self, event: impl Into<AnyEvent>) -> u64 {
        self.host.counted(event)
    }

    fn body(&self) -> String {
        let text = String::from_utf8_lossy(&self.heard).into_owned();
        text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }
}

fn scanner_settings() -> icap::Settings {
    icap::Settings::new(([10, 9, 9, 9], 1344).into())
}

/// A server that answers once it has a request, and reads on.
async fn serve(mut stream: MemoryStream, response: Vec<Bytes>, got: Rc<RefCell<Vec<u8>>>) {
    let mut said = false;
    while let Ok(Some(chunk)) = stream.read().await {
        got.borrow_mut().extend_from_slice(&chunk);
        if !said && message_end(&got.borrow()).is_some() {
            said = true;
            for piece in response.clone() {
                if stream.send(piece).await.is_err() {
                    return;
                }
            }
            let head = response.concat();
            let framed =
                [&b"Content-Length"[..], b"chunked"].iter().any(|word| head.windows(word.len()).any(|w| w == *word));
            if !framed {
                stream.shutdown();
            }
        }
    }
    stream.shutdown();
}

struct Scanner {
    stream: MemoryStream,
    input: Vec<u8>,
    piece: usize,
}

impl Scanner {
    async fn more(&mut self) -> bool {
        match self.stream.read().await {
            Ok(Some(chunk)) => {
                self.input.extend_from_slice(&chunk);
                true
            }
            _ => false,
        }
    }

    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end) {
                return Some(self.input.drain(..at + end.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn exact(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.input.len() < len {
            if !self.more().await {
                return None;
            }
        }
        Some(self.input.drain(..len).collect())
    }

    /// Chunks to their end; whether that was `ieof`.
    async fn chunks(&mut self, body: &mut Vec<u8>) -> Option<bool> {
        loop {
            let line = String::from_utf8(self.until(b"\r\n").await?).expect("it is a line");
            let (size, extension) = line.trim_end().split_once(';').unwrap_or((line.trim_end(), ""));
            let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no size: {line:?}"));
            let mut data = self.exact(size + 2).await?;
            assert_eq!(data.split_off(size), b"\r\n");
            if size == 0 {
                return Some(extension.trim() == "ieof");
            }
            body.extend_from_slice(&data);
        }
    }

    async fn say(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref().to_vec();
        for piece in text.chunks(self.piece.min(text.len()).max(1)) {
            if self.stream.send(Bytes::copy_from_slice(piece)).await.is_err() {
                return;
            }
        }
    }

    async fn give(&mut self, fields: &str, name: &str, head: &str, body: &[u8]) {
        self.say(format!(
            "ICAP/1.0 200 OK\r\nISTag: \"t1\"\r\n{fields}Encapsulated: {name}-hdr=0, {name}-body={}\r\n\r\n{head}",
            head.len()
        ))
        .await;
        for chunk in body.chunks(1000) {
            self.say(format!("{:x}\r\n", chunk.len())).await;
            self.say(chunk).await;
            self.say("\r\n").await;
        }
        self.say("0\r\n\r\n").await;
    }
}

async fn scan(stream: MemoryStream, does: Does, options: &'static str, piece: usize, log: Rc<RefCell<Vec<Seen>>>) {
    let mut scanner = Scanner { stream, input: Vec::new(), piece };
    while let Some(head) = scanner.until(b"\r\n\r\n").await {
        let head = String::from_utf8(head).expect("it is text");
        if head.starts_with("OPTIONS") {
            scanner.say(format!("ICAP/1.0 200 OK\r\n{options}Encapsulated: null-body=0\r\n\r\n")).await;
            continue;
        }
        if one(&mut scanner, head, does, &log).await.is_none() {
            return;
        }
    }
    scanner.stream.shutdown();
}

async fn one(scanner: &mut Scanner, head: String, does: Does, log: &Rc<RefCell<Vec<Seen>>>) -> Option<()> {
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let parts = field("Encapsulated: ").expect("it is there");
    let len: usize = parts.rsplit_once('=').expect("an offset").1.parse().expect("a number");
    let heads = String::from_utf8(scanner.exact(len).await?).expect("it is text");
    let has_body = !parts.contains("null-body");
    let name = if head.starts_with("RESPMOD") { "res" } else { "req" };
    // The head of the message itself, behind that of the request.
    let own = match (name, heads.find("\r\n\r\n")) {
        ("res", Some(at)) => heads[at + 4..].to_owned(),
        _ => heads.clone(),
    };
    let mut seen = Seen { head: head.clone(), heads, ..Seen::default() };
    match does {
        Does::Close => return None,
        Does::Early => {
            log.borrow_mut().push(seen);
            scanner.give("", "res", "HTTP/1.1 451 No\r\nContent-Length: 4\r\n\r\n", b"page").await;
            while scanner.more().await {}
            return None;
        }
        Does::Stream => {
            // The head of the answer before the body has come; then each chunk as it is.
            let body = if has_body { "body" } else { "null-body" };
            scanner
                .say(format!("ICAP/1.0 200 OK\r\nEncapsulated: {name}-hdr=0, {name}-{body}={}\r\n\r\n{own}", own.len()))
                .await;
            loop {
                let line = scanner.until(b"\r\n").await?;
                let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim_end(), 16).expect("a size");
                let data = scanner.exact(size + 2).await?;
                scanner.say([line, data].concat()).await;
                if size == 0 {
                    return Some(());
                }
            }
        }
        _ => {}
    }
    if has_body {
        seen.ieof = scanner.chunks(&mut seen.body).await?;
        let rest = head.contains("Preview: ") && !seen.ieof;
        if rest && matches!(does, Does::Echo | Does::Infected | Does::Change | Does::WrongLength(_)) {
            scanner.say("ICAP/1.0 100 Continue\r\n\r\n").await;
            scanner.chunks(&mut seen.body).await?;
        }
    }
    let body = seen.body.clone();
    log.borrow_mut().push(seen);
    match does {
        Does::Clean => {
            scanner.say("ICAP/1.0 204 No Content\r\nISTag: \"t1\"\r\nEncapsulated: null-body=0\r\n\r\n").await;
        }
        Does::Echo if !has_body => {
            scanner
                .say(format!("ICAP/1.0 200 OK\r\nEncapsulated: {name}-hdr=0, null-body={}\r\n\r\n{own}", own.len()))
                .await;
        }
        Does::Echo => scanner.give("", name, &own, &body).await,
        Does::Infected => scanner.give(EICAR, "res", "HTTP/1.1 403 Forbidden\r\n\r\n", b"their page").await,
        Does::Change => {
            let (first, _) = own.split_once("\r\n").expect("a line");
            scanner.give("", name, &format!("{first}\r\nHost: a\r\nX-Scanned: yes\r\n\r\n"), b"changed").await;
        }
        Does::WrongLength(length) => {
            let (first, _) = own.split_once("\r\n").expect("a line");
            scanner.give("", name, &format!("{first}\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"), b"12345").await;
        }
        Does::Says(text) => scanner.say(text).await,
        Does::Half => {
            scanner.say("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=70\r\n\r\nHTTP/1.1 200 OK\r\n").await;
            scanner.stream.shutdown();
            return None;
        }
        Does::Silent => while scanner.more().await {},
        Does::Early | Does::Stream | Does::Close => unreachable!("answered above"),
    }
    Some(())
}

fn response(len: usize) -> String {
    let body: String = (0..len).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    format!("HTTP/1.1 200 OK\r\nContent-Type: x/y\r\nContent-Length: {len}\r\n\r\n{body}")
}

fn chunked(pieces: &[&str]) -> String {
    let chunks: String = pieces.iter().map(|piece| format!("{:x};ext=1\r\n{piece}\r\n", piece.len())).collect();
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
}

/// The data of a message, however it is framed.
fn data(heard: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(heard).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    if !head.contains("chunked") {
        return body.as_bytes().to_vec();
    }
    let (mut rest, mut data) = (body, Vec::new());
    loop {
        let (size, after) = rest.split_once("\r\n").expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return data;
        }
        data.extend_from_slice(&after.as_bytes()[..size]);
        rest = &after[size + 2..];
    }
}

#[test]
fn a_clean_response_passes_whole_whoever_holds_it() {
    // Below, at and above the preview of 16; above what is held (100).
    for len in [1, 15, 16, 17, 99, 100, 101, 40_000] {
        for does in [Does::Clean, Does::Echo] {
            let response = response(len);
            let mut play = Play::respmod(does, &response);
            play.settings.hold = 100;
            let played = play.run();
            let about = format!("{len} {does:?}");
            assert_eq!(played.statuses(), ["200"], "{about}");
            assert_eq!(played.heard, response.as_bytes(), "{about}");
            assert_eq!((played.reason, played.failed), (Reason::Finished, false), "{about}");
            let verdict = if does == Does::Clean { Event::Clean } else { Event::Changed };
            assert_eq!(played.counted(verdict), 1, "{about}");
            let body = response.split_once("\r\n\r\n").expect("a body").1.as_bytes();
            let [seen] = played.seen.as_slice() else { panic!("{about}: one message") };
            let expected = if does == Does::Clean { &body[..len.min(16)] } else { body };
            assert_eq!(seen.body, expected, "{about}");
            assert_eq!(seen.ieof, len <= 16, "{about}");
            assert_eq!(seen.head.contains("Allow: 204"), len <= 100, "{about}: only what is held can be given without");
        }
    }
}

#[test]
fn the_scanner_is_told_who_asks_whom() {
    let played = Play::respmod(Does::Clean, &response(5)).run();
    let seen = &played.seen[0];
    for line in [
        "RESPMOD icap://10.9.9.9:1344/scan ICAP/1.0\r\n",
        "X-Client-IP: 192.168.1.5\r\n",
        "X-Server-IP: 10.0.0.9\r\n",
        "Preview: 16\r\n",
    ] {
        assert!(seen.head.contains(line), "{line}: {}", seen.head);
    }
    assert!(
        seen.heads.starts_with("GET http://a/file.bin HTTP/1.1\r\nHost: a\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{}",
        seen.heads
    );
    let record = played.host.records().into_iter().find(|record| record.kind == "icap.verdict").expect("a record");
    assert!(format!("{record:?}").contains("\\\"t1\\\""), "{record:?}");
    let related = &played.host.related_to()[0];
    assert_eq!((related.local, related.remote), (None, ([10, 9, 9, 9], 1344).into()));
}

#[test]
fn every_split_of_server_and_scanner_comes_to_the_same() {
    for does in [Does::Clean, Does::Echo, Does::Change, Does::Infected] {
        for body in [
            response(40),
            chunked(&["0123456789", "abcdefghijklm", "z"]),
            "HTTP/1.1 200 OK\r\n\r\nuntil the very end of it".into(),
        ] {
            let whole = Play::respmod(does, &body).run();
            let expected = match does {
                Does::Infected => Vec::new(),
                Does::Change => b"changed".to_vec(),
                _ => data(whole.heard.as_slice()),
            };
            let head = body.find("\r\n\r\n").expect("a head");
            for split in (1..body.len()).filter(|at| *at + 4 > head) {
                for piece in [1, 7, usize::MAX] {
                    let bytes = Bytes::copy_from_slice(body.as_bytes());
                    let mut play = Play::respmod(does, &body);
                    play.response = vec![bytes.slice(..split), bytes.slice(split..)];
                    play.piece = piece;
                    let played = play.run();
                    let about = format!("{does:?} {split} {piece} {body:?}");
                    if does == Does::Infected {
                        assert_eq!(played.statuses(), ["403"], "{about}");
                        assert!(played.body().contains("Eicar") && !played.body().contains("their page"), "{about}");
                        assert_eq!(played.reason, Reason::ScannerDenied, "{about}");
                    } else {
                        assert_eq!(data(&played.heard), expected, "{about}");
                        assert_eq!(played.reason, Reason::Finished, "{about}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_body_goes_through_as_it_comes_in_both_directions_at_once() {
    // Nothing fits into the windows as a whole: who waits for all of one direction waits for ever.
    let response = response(1 << 20);
    let mut play = Play::respmod(Does::Stream, &response);
    play.options = "Methods: RESPMOD\r\n";
    let played = play.run();
    assert_eq!(played.heard.len(), response.len());
    assert!(played.heard == response.as_bytes());
    assert_eq!(played.reason, Reason::Finished);
}

#[test]
fn an_early_answer_ends_what_is_still_said() {
    let response = response(1 << 20);
    let mut play = Play::respmod(Does::Early, &response);
    play.options = "Methods: RESPMOD\r\n";
    let played = play.run();
    assert_eq!(played.statuses(), ["451"]);
    assert!(played.body().ends_with("page"));
    assert_eq!(played.counted(Event::Changed), 1);
}

#[test]
fn without_a_verdict_nothing_passes_unless_the_service_says_so() {
    let cases: &[(Does, Event)] = &[
        (Does::Silent, Event::TimedOut),
        (Does::Close, Event::Closed),
        (Does::Half, Event::Closed),
        (Does::Says("ICAP/1.0 500 Server error\r\n\r\n"), Event::StatusUnexpected),
        (Does::Says("ICAP/1.0 404 Not found\r\n\r\n"), Event::StatusUnexpected),
        (Does::Says("HTTP/1.1 200 OK\r\n\r\n"), Event::HeadInvalid),
        (Does::Says("\0\0\0\0\r\n\r\n"), Event::HeadInvalid),
        (Does::Says("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=7\r\n\r\n"), Event::EncapsulatedInvalid),
        (Does::Says("ICAP/1.0 100 Continue\r\n\r\nICAP/1.0 100 Continue\r\n\r\n"), Event::StatusUnexpected),
    ];
    for (does, event) in cases {
        for on_failure in [Otherwise::Deny, Otherwise::Pass] {
            let response = response(10);
            let mut play = Play::respmod(*does, &response);
            play.settings.on_failure = on_failure;
            let played = play.run();
            let about = format!("{does:?} {on_failure:?}");
            assert!(played.counted(*event) > 0, "{about}");
            match on_failure {
                Otherwise::Deny => {
                    assert_eq!(played.statuses(), ["503"], "{about}");
                    assert_eq!(played.reason, Reason::ScannerFailed, "{about}");
                    assert_eq!(played.counted(Event::DeniedOnFailure), 1, "{about}");
                }
                Otherwise::Pass => {
                    assert_eq!(played.heard, response.as_bytes(), "{about}");
                    assert_eq!(played.counted(Event::PassedOnFailure), 1, "{about}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_message_of_http_is_not_passed_whatever_the_service_says() {
    for (says, event) in [
        ("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=4\r\n\r\n\r\n\r\n", Event::MessageInvalid),
        (
            "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=25\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
            Event::MessageInvalid,
        ),
        ("ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n0\r\n\r\n", Event::EncapsulatedInvalid),
        (
            "ICAP/1.0 200 OK\r\nEncapsulated: req-hdr=0, null-body=27\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            Event::EncapsulatedInvalid,
        ),
    ] {
        let mut play = Play::respmod(Does::Says(says), &response(10));
        play.settings.on_failure = Otherwise::Pass;
        let played = play.run();
        assert_eq!(played.statuses(), ["503"], "{says:?}");
        assert!(played.counted(event) > 0, "{says:?}");
    }
}

#[test]
fn a_body_is_as_long_as_its_head_says() {
    for (length, whole) in [("5", true), ("4", false), ("6", false), ("0", false)] {
        let played = Play::respmod(Does::WrongLength(length), &response(10)).run();
        if whole {
            assert_eq!((played.body().as_str(), played.reason), ("12345", Reason::Finished));
        } else {
            assert!(played.failed, "{length}: the client is reset");
            assert_eq!(played.reason, Reason::ScannerFailed, "{length}");
            assert!(played.body().len() <= length.parse().expect("a number"), "{length}: {}", played.body());
        }
    }
}

#[test]
fn a_scanner_that_cannot_be_had_is_no_verdict() {
    for (scanners, options, event) in
        [(0, OPTIONS, Event::NotConnected), (4, "Methods: REQMOD\r\n", Event::MethodMissing)]
    {
        for on_failure in [Otherwise::Deny, Otherwise::Pass] {
            let mut play = Play::respmod(Does::Clean, &response(50_000));
            (play.scanners, play.options) = (scanners, options);
            play.settings.on_failure = on_failure;
            let played = play.run();
            let expected = if on_failure == Otherwise::Deny { "503" } else { "200" };
            assert_eq!(played.statuses(), [expected], "{event:?} {on_failure:?}");
            assert_eq!(played.counted(event), 1);
        }
    }
}

#[test]
fn what_was_given_and_is_not_held_cannot_pass_on_failure() {
    let mut play = Play::respmod(Does::Silent, &response(1 << 20));
    play.settings.on_failure = Otherwise::Pass;
    play.options = "Methods: RESPMOD\r\n";
    let played = play.run();
    assert_eq!(played.statuses(), ["503"]);
    assert_eq!(played.counted(Event::DeniedOnFailure), 1);
}

#[test]
fn what_is_skipped_passes_unseen() {
    type Change = fn(&mut icap::Settings);
    let cases: &[(Change, &'static str, Event, &str)] = &[
        (|settings| settings.skip = vec!["x/*".into()], OPTIONS, Event::SkippedType, "200"),
        (|_| {}, "Transfer-Ignore: bin\r\n", Event::SkippedTransfer, "200"),
        (
            |settings| (settings.max_scan, settings.on_large) = (Some(9), Otherwise::Pass),
            OPTIONS,
            Event::SkippedLarge,
            "200",
        ),
        (|settings| settings.max_scan = Some(9), OPTIONS, Event::DeniedLarge, "403"),
    ];
    for (change, options, event, status) in cases {
        let response = response(10);
        let mut play = Play::respmod(Does::Infected, &response);
        change(&mut play.settings);
        play.options = options;
        let played = play.run();
        assert_eq!(played.statuses(), [*status], "{event:?}");
        assert_eq!(played.counted(*event), 1, "{event:?}");
        assert!(played.seen.is_empty(), "{event:?}");
    }
    let mut play = Play::respmod(Does::Echo, &chunked(&["0123456789", "0123456789", "0123456789"]));
    play.settings.max_scan = Some(25);
    let played = play.run();
    assert_eq!(played.statuses(), ["503"], "how long it is shows only late");
    assert_eq!(played.counted(Event::DeniedLarge), 1);
}

#[test]
fn parts_are_not_asked_for_unless_the_service_says_so() {
    for permit_ranges in [false, true] {
        let mut play = Play::respmod(Does::Clean, &response(5));
        play.settings.permit_ranges = permit_ranges;
        play.request = vec![Bytes::from("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=1-\r\n\r\n")];
        let played = play.run();
        assert_eq!(String::from_utf8_lossy(&played.server).contains("Range"), permit_ranges);
        assert_eq!(played.counted(Event::RangeDropped), u64::from(!permit_ranges));
    }
}

fn post(len: usize) -> String {
    let body: String = (0..len).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    format!("POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n{body}")
}

#[test]
fn a_clean_request_reaches_the_server_whole() {
    for request in [GET.to_owned(), post(5), post(16), post(17), post(200), post(40_000)] {
        for does in [Does::Clean, Does::Echo] {
            let mut play = Play::reqmod(does, &request);
            play.settings.hold = 100;
            let played = play.run();
            let about = format!("{} {does:?}", request.len());
            assert_eq!(played.statuses(), ["200"], "{about}");
            assert_eq!(String::from_utf8_lossy(&played.server), request, "{about}");
            assert_eq!(played.seen.len(), 1, "{about}");
        }
    }
    let chunked = "POST /form HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n14\r\n01234567890123456789\r\n0\r\n\r\n";
    for does in [Does::Clean, Does::Echo] {
        let played = Play::reqmod(does, chunked).run();
        assert_eq!(data(&played.server), b"abcde01234567890123456789", "{does:?}");
    }
}

#[test]
fn an_infected_request_reaches_nobody() {
    for len in [10, 40_000] {
        let played = Play::reqmod(Does::Infected, &post(len)).run();
        assert_eq!(played.statuses(), ["403"], "{len}");
        assert!(played.body().contains("Eicar"), "{len}");
        assert!(played.host.connected().is_empty(), "{len}: no server was connected");
        assert_eq!((played.reason, played.counted(Event::Infected)), (Reason::ScannerDenied, 1), "{len}");
        assert_eq!(played.counted(HttpEvent::ScannerDenied), 1);
    }
}

#[test]
fn a_scanner_may_answer_in_the_servers_place() {
    for request in [GET.to_owned(), post(10)] {
        for piece in [1, usize::MAX] {
            let mut play = Play::reqmod(Does::Early, &request);
            play.piece = piece;
            let played = play.run();
            assert_eq!(played.statuses(), ["451"]);
            assert!(played.body().ends_with("page"));
            assert!(played.host.connected().is_empty());
            assert_eq!(played.counted(Event::Answered), 1);
        }
    }
}

#[test]
fn a_scanner_may_change_fields_and_body_but_not_what_was_decided_about() {
    let played = Play::reqmod(Does::Change, &post(10)).run();
    let server = String::from_utf8_lossy(&played.server).into_owned();
    assert!(server.contains("X-Scanned: yes\r\n") && server.contains("changed"), "{server}");
    for request in [
        "GET http://b/ HTTP/1.1\r\nHost: b\r\n\r\n",
        "PUT http://a/form HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  http://a/ HTTP/1.1\r\n\r\n",
    ] {
        let text = format!("ICAP/1.0 200 OK\r\nEncapsulated: req-hdr=0, null-body={}\r\n\r\n{request}", request.len());
        let played = Play::reqmod(Does::Says(String::leak(text)), &post(10)).run();
        assert_eq!(played.statuses(), ["503"], "{request}");
        assert!(played.host.connected().is_empty());
    }
}

#[test]
fn who_waits_for_100_is_told_by_us_where_the_scanner_wants_the_body() {
    let request = "POST /form HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc";
    let played = Play::reqmod(Does::Clean, request).run();
    assert_eq!(played.statuses(), ["100", "200"]);
    assert!(!String::from_utf8_lossy(&played.server).contains("Expect"));
}

#[test]
fn one_connection_serves_requests_and_responses_of_a_session_and_options_are_asked_once() {
    let mut play = Play::reqmod(Does::Clean, &format!("{GET}{GET}{GET}"));
    play.settings.respmod = Some("/scan".into());
    let played = play.run();
    // The server answers the first request only; the scanner was asked about all that came.
    assert_eq!(played.statuses()[0], "200");
    assert!(played.seen.len() >= 3, "{:?}", played.seen.len());
    assert_eq!(played.counted(Event::Options), 2, "of each path");
    assert_eq!(played.host.related_to().len(), 1, "one connection");
}

#[test]
fn a_slow_scanner_has_its_time_and_no_more() {
    let mut play = Play::respmod(Does::Silent, &response(10));
    play.settings.timeout = Duration::from_secs(7);
    let played = play.run();
    assert_eq!(played.statuses(), ["503"]);
    assert!(
        played.host.now() >= Duration::from_secs(7) && played.host.now() < Duration::from_secs(20),
        "{:?}",
        played.host.now()
    );
}
