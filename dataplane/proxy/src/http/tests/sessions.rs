//! Sessions of several requests, connections and protocols.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::scene::{Said, Scene, client, find, info, message_end, said, scene, statuses};
use crate::host::Target;
use crate::http::event::Event;
use crate::http::filter::{Filter, FilterRule, Pattern, Sentence};
use crate::http::policy::{Action, MethodRules, RouteRule, Server};
use crate::http::{Connect, Method, Otherwise, Settings, run};
use crate::memory::{MemoryHost, World, duplex};
use crate::module::{Module, Settings as ModuleSettings};
use crate::outcome::{Outcome, Reason};
use crate::record::Value;
use crate::session::{Session, SessionId};
use crate::stream::Stream;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn ok(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
    message_end(bytes).map(|end| (end, said(OK)))
}

struct Ended {
    heard: String,
    seen: String,
    connections: usize,
    outcome: Outcome,
    host: MemoryHost,
    reset: bool,
}

/// A client says this, closes if it is to, and hears what comes.
fn serve(settings: Settings, says: &str, finish: bool, answer: super::scene::Answer) -> Ended {
    let (Scene { mut world, outcome, seen, connected }, stream) = scene(settings, answer);
    let heard = world.spawn(client(stream, vec![Bytes::copy_from_slice(says.as_bytes())], finish));
    world.run();
    let (heard, failed) = heard.take().expect("the client hears an end");
    Ended {
        heard: String::from_utf8(heard).expect("it is text"),
        seen: String::from_utf8(seen.take()).expect("it is text"),
        connections: connected.take(),
        outcome: outcome.take().expect("the session has ended"),
        host: world.host(),
        reset: failed.is_some(),
    }
}

#[test]
fn requests_share_the_servers_connection() {
    let ended = serve(Settings::default(), &GET.repeat(3), true, ok);
    assert_eq!((ended.heard, ended.connections), (OK.repeat(3), 1));
    assert_eq!(ended.outcome.reason, Reason::Finished);
    let sizes = (ended.outcome.to_server, ended.outcome.to_client);
    assert_eq!(sizes, (3 * GET.len() as u64, 3 * OK.len() as u64));
    let counted = |event: Event| ended.host.counted(event);
    assert_eq!((counted(Event::Request), counted(Event::Reused), counted(Event::Response)), (3, 2, 3));
}

#[test]
fn every_request_is_put_on_record() {
    let says = "POST /a?b HTTP/1.1\r\nHost: a\r\nReferer: http://r/\r\nUser-Agent: x\r\nContent-Length: 3\r\n\r\nabcnonsense\r\n\r\n";
    let ended = serve(Settings::default(), says, true, ok);
    let records = ended.host.records();
    assert_eq!(records.len(), 2);
    let field = |name: &str| records[0].fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    let text = |text: &str| Some(Value::from(text.to_owned()));
    assert_eq!((records[0].kind, field("method"), field("url")), ("http.request", text("POST"), text("http://a/a?b")));
    assert_eq!((field("status"), field("bytes")), (Some(Value::Number(200)), Some(Value::Number(2))));
    assert_eq!((field("request_bytes"), field("referer")), (Some(Value::Number(3)), text("http://r/")));
    assert_eq!((field("user_agent"), field("version")), (text("x"), Some(Value::from("HTTP/1.1".to_owned()))).clone());
    let refused = &records[1].fields;
    assert!(refused.contains(&("status", Value::Number(400))), "{refused:?}");
    assert!(refused.contains(&("event", "http_bad_request_line".into())), "{refused:?}");
}

#[test]
fn a_server_that_closes_is_connected_again() {
    fn closing(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
        message_end(bytes).map(|end| (end, [said(OK), vec![Said::Close]].concat()))
    }
    let ended = serve(Settings::default(), &GET.repeat(2), true, closing);
    assert_eq!((ended.heard, ended.connections), (OK.repeat(2), 2));
}

#[test]
fn what_was_lost_with_an_idle_connection_is_asked_again_if_that_is_harmless() {
    // The first connection answers one request and resets at the next.
    fn once(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
        let end = message_end(bytes)?;
        let second = find(&bytes[..end], b"/second").is_some() && find(&bytes[..end], b"X-Again").is_none();
        Some((end, if second { vec![Said::Abort] } else { said(OK) }))
    }
    let get = format!("{GET}GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    let ended = serve(Settings::default(), &get, true, once);
    // Asked twice, lost twice: the second time it is told.
    assert_eq!(ended.seen.matches("/second").count(), 2);
    assert_eq!(statuses(ended.heard.as_bytes()).0, ["200", "502"]);
    assert_eq!(ended.host.counted(Event::Retried), 1);
    let post = format!("{GET}POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    let ended = serve(Settings::default(), &post, true, once);
    assert_eq!(ended.seen.matches("/second").count(), 1, "a POST may do something twice");
    assert_eq!(statuses(ended.heard.as_bytes()).0, ["200", "502"]);
}

#[test]
fn what_a_server_says_unasked_answers_nothing() {
    fn chatty(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
        let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
        message_end(bytes).map(|end| (end, said(&format!("{OK}{poison}"))))
    }
    let ended = serve(Settings::default(), &GET.repeat(2), true, chatty);
    assert_eq!((ended.heard, ended.connections), (OK.repeat(2), 2));
    assert!(ended.host.counted(Event::Unsolicited) >= 1);
}

#[test]
fn methods_go_to_servers_of_their_own() {
    let apache: SocketAddr = "10.0.0.9:8080".parse().expect("it is an address");
    let settings = Settings {
        methods: MethodRules::new(Vec::new(), Action::Accept),
        routes: vec![RouteRule {
            methods: ["PROPFIND", "MKCOL"].map(|name| Method::parse(name.as_bytes()).expect("a token")).to_vec(),
            urls: Vec::new(),
            server: Server::Address(apache),
        }],
        ..Settings::default()
    };
    let propfind = GET.replace("GET", "PROPFIND");
    let ended = serve(settings, &format!("{GET}{GET}{propfind}{GET}"), true, ok);
    assert_eq!(ended.heard, OK.repeat(4));
    let targets: Vec<Target> = ended.host.connected().into_iter().map(|(_, target)| target).collect();
    assert_eq!(targets, [Target::Original, Target::Address(apache), Target::Original]);
}

#[test]
fn a_proxy_goes_where_the_url_says_within_its_ports() {
    let settings = || Settings {
        permit_proxy_requests: true,
        permit_server_requests: false,
        otherwise: Otherwise::Inband,
        ports: vec![80..=80, 8000..=8099],
        hosts: [("known.example".to_owned(), "10.1.1.1".parse().expect("it is one"))].into(),
        ..Settings::default()
    };
    let get = |url: &str, host: &str| format!("GET {url} HTTP/1.1\r\nHost: {host}\r\nProxy-Authorization: x\r\n\r\n");
    let says = [
        get("http://10.2.2.2/x", "10.2.2.2"),
        get("http://known.example:8080/", "known.example:8080"),
        get("http://[2001:db8::1]/", "[2001:db8::1]"),
        get("http://10.2.2.2:22/", "10.2.2.2:22"),
        get("http://unknown.example/", "unknown.example"),
    ];
    let ended = serve(settings(), &says.concat(), true, ok);
    assert_eq!(statuses(ended.heard.as_bytes()).0, ["200", "200", "200", "403", "502"]);
    let targets: Vec<String> = ended.host.connected().into_iter().map(|(_, target)| format!("{target:?}")).collect();
    assert_eq!(targets, ["Address(10.2.2.2:80)", "Address(10.1.1.1:8080)", "Address([2001:db8::1]:80)"]);
    assert!(
        ended
            .seen
            .starts_with("GET /x HTTP/1.1\r\nHost: 10.2.2.2\r\n\r\nGET / HTTP/1.1\r\nHost: known.example:8080\r\n\r\n")
    );
    let parent = Settings { otherwise: Otherwise::Parent("10.3.3.3:3128".parse().expect("one")), ..settings() };
    let ended = serve(parent, &says[0], true, ok);
    let whole = "GET http://10.2.2.2/x HTTP/1.1\r\nHost: 10.2.2.2\r\nProxy-Authorization: x\r\n\r\n";
    assert_eq!(ended.seen, whole, "a parent gets the absolute URL, and what is said to proxies");
}

#[test]
fn a_name_is_looked_up_once_in_a_session() {
    let settings = Settings {
        permit_proxy_requests: true,
        otherwise: Otherwise::Inband,
        resolver: Some("10.0.0.53:53".parse().expect("it is an address")),
        ..Settings::default()
    };
    let (Scene { mut world, seen, .. }, stream) = scene(settings, ok);
    let (leg, mut resolver) = duplex(1000);
    world.host().answer_related(crate::memory::ConnectAnswer::After(std::time::Duration::ZERO, Ok(leg)));
    let _ = world.spawn(async move {
        let Ok(Some(question)) = resolver.read().await else { return };
        let mut answer = question.to_vec();
        answer[4..10].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 7, 7, 7]);
        let len = answer.len() as u16 - 2;
        answer[..2].copy_from_slice(&len.to_be_bytes());
        let _ = resolver.send(Bytes::from(answer)).await;
        resolver.shutdown();
    });
    let get = "GET http://www.example.com/ HTTP/1.1\r\nHost: www.example.com\r\n\r\n".repeat(2);
    let heard = world.spawn(client(stream, vec![Bytes::from(get)], true));
    world.run();
    assert_eq!(statuses(&heard.take().expect("an end").0).0, ["200", "200"]);
    assert_eq!(world.host().connected(), [(SessionId(7), Target::Address("10.7.7.7:80".parse().expect("one")))]);
    assert_eq!(world.host().related_to().len(), 1);
    assert_eq!(seen.take(), "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n".repeat(2).as_bytes());
}

fn connect_settings(service: Option<&str>) -> Settings {
    Settings {
        permit_proxy_requests: true,
        methods: MethodRules::new(Vec::new(), Action::Accept),
        otherwise: Otherwise::Inband,
        connect: Some(Connect { ports: vec![443..=443], service: service.map(str::to_owned) }),
        ..Settings::default()
    }
}

#[test]
fn connect_makes_a_tunnel() {
    fn hello(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
        bytes.starts_with(b"hello").then(|| (bytes.len(), said("world")))
    }
    let says = "CONNECT 10.2.2.2:443 HTTP/1.1\r\nHost: 10.2.2.2:443\r\n\r\nhello";
    let ended = serve(connect_settings(None), says, true, hello);
    assert_eq!(ended.heard, "HTTP/1.1 200 Connection established\r\n\r\nworld");
    assert_eq!((ended.seen.as_str(), ended.outcome.reason), ("hello", Reason::Finished));
    assert_eq!((ended.outcome.to_server, ended.outcome.to_client), (5, 44));
    let ended = serve(connect_settings(None), &says.replace("443", "22"), true, hello);
    assert_eq!(statuses(ended.heard.as_bytes()).0, ["403"]);
}

#[test]
fn connect_to_nobody_is_told() {
    let mut world = World::new();
    let (ours, leg) = duplex(10_000);
    let session = Session { id: SessionId(7), host: world.host(), client: leg, info: info() };
    let outcome = world.spawn(run(session, Arc::new(connect_settings(None))));
    let says = Bytes::from("CONNECT 10.2.2.2:443 HTTP/1.1\r\nHost: 10.2.2.2\r\n\r\n");
    let heard = world.spawn(client(ours, vec![says], false));
    world.run();
    assert_eq!(statuses(&heard.take().expect("an end").0).0, ["502"]);
    assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::ConnectUnreachable));
}

#[test]
fn a_tunnel_is_seen_by_the_proxy_of_its_service() {
    let (Scene { mut world, seen, outcome, .. }, stream) = scene(connect_settings(Some("inner")), ok);
    let inner = Module { service: "inner".into(), settings: ModuleSettings::Http(Arc::new(Settings::default())) };
    world.host().add_module(inner);
    let says =
        format!("CONNECT 10.2.2.2:443 HTTP/1.1\r\nHost: 10.2.2.2\r\n\r\n{GET}DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
    let heard = world.spawn(client(stream, vec![Bytes::from(says)], true));
    world.run();
    let heard = String::from_utf8(heard.take().expect("an end").0).expect("it is text");
    let heard = heard.strip_prefix("HTTP/1.1 200 Connection established\r\n\r\n").expect("it is granted");
    assert_eq!(statuses(heard.as_bytes()).0, ["200", "403"]);
    assert_eq!(seen.take(), GET.as_bytes());
    assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::Finished));
}

#[test]
fn the_filter_says_no_and_elsewhere() {
    let rule = |pattern, sentence| FilterRule { pattern, sentence };
    let filter = Filter(vec![
        rule(Pattern::Host("bad.com".into()), Sentence::Action(Action::reject())),
        rule(Pattern::Host("old.com".into()), Sentence::Elsewhere("http://new.com/".into())),
        rule(Pattern::Host("shut.com".into()), Sentence::Action(Action::Deny)),
    ]);
    let settings = Settings { filter, ..Settings::default() };
    let get = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let says = [get("a"), get("x.bad.com"), get("old.com"), get("shut.com"), get("a")].concat();
    let ended = serve(settings, &says, true, ok);
    assert_eq!(statuses(ended.heard.as_bytes()).0, ["200", "403", "302"]);
    assert!(ended.heard.contains("\r\nLocation: http://new.com/\r\n"));
    assert_eq!((ended.outcome.reason, ended.host.counted(Event::UrlDenied)), (Reason::PolicyDenied, 3));
}

#[test]
fn an_abort_is_a_reset_and_silence_a_close() {
    let abort = Settings { methods: MethodRules::new(Vec::new(), Action::Abort), ..Settings::default() };
    let ended = serve(abort, GET, false, ok);
    assert_eq!((ended.heard.as_str(), ended.reset), ("", true));
    let mut silent = Settings::default();
    silent.pages.silent = true;
    let ended = serve(silent, "nonsense\r\n", true, ok);
    assert_eq!((ended.heard.as_str(), ended.reset, ended.outcome.reason), ("", false, Reason::ClientViolation));
}

#[test]
fn who_we_are_is_said_when_asked() {
    let settings = Settings { via: Some("gate".into()), forwarded_for: true, ..Settings::default() };
    let says = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nVia: 1.0 x\r\n\r\n";
    let ended = serve(settings, says, true, ok);
    let seen =
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4, 192.168.1.5\r\nVia: 1.0 x\r\nVia: 1.1 gate\r\n\r\n";
    assert_eq!(ended.seen, seen);
    assert!(ended.heard.contains("\r\nVia: 1.1 gate\r\n"), "{}", ended.heard);
}

#[test]
fn an_early_answer_ends_the_connection() {
    // Answers when the head is there, and reads no further.
    fn early(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
        let end = find(bytes, b"\r\n\r\n")? + 4;
        Some((end.max(bytes.len()), said("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")))
    }
    let says = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nfirst";
    let ended = serve(Settings::default(), says, false, early);
    assert_eq!(ended.heard, "HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    assert_eq!(ended.outcome.reason, Reason::Finished);
}

#[test]
fn continue_is_passed_to_who_waits_for_it() {
    fn asking(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
        if bytes == b"hi" {
            return Some((2, said(OK)));
        }
        let end = find(bytes, b"\r\n\r\n")? + 4;
        Some((end, said("HTTP/1.1 100 Continue\r\n\r\n")))
    }
    let (Scene { mut world, seen, .. }, mut stream) = scene(Settings::default(), asking);
    let heard = world.spawn(async move {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        let _ = stream.send(Bytes::from(head)).await;
        let interim = stream.read().await;
        let _ = stream.send(Bytes::from("hi")).await;
        stream.shutdown();
        let mut answer = Vec::new();
        while let Ok(Some(chunk)) = stream.read().await {
            answer.extend_from_slice(&chunk);
        }
        (interim, answer)
    });
    world.run();
    let (interim, answer) = heard.take().expect("both came");
    assert_eq!(interim, Ok(Some(Bytes::from("HTTP/1.1 100 Continue\r\n\r\n"))));
    assert_eq!(answer, OK.as_bytes());
    assert!(seen.take().ends_with(b"\r\n\r\nhi"));
}

#[test]
fn short_memory_is_told_at_once() {
    let (Scene { mut world, outcome, .. }, stream) = scene(Settings::default(), ok);
    world.host().set_short_of_memory(true);
    let heard = world.spawn(client(stream, vec![Bytes::from(GET)], false));
    world.run();
    assert_eq!(statuses(&heard.take().expect("an end").0).0, ["503"]);
    assert_eq!(world.host().connected().len(), 0);
    assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::ServiceLimit));
}

#[test]
fn a_session_that_waits_is_small() {
    let mut world = World::new();
    let (_, leg) = duplex(1);
    let session = Session { id: SessionId(7), host: world.host(), client: leg, info: info() };
    let waiting = size_of_val(&run(session, Arc::default()));
    assert!(waiting <= 4096, "{waiting} bytes");
    world.run();
}

#[test]
fn a_service_bounds_requests() {
    let settings = Settings { requests_max: Some(2), ..Settings::default() };
    let ended = serve(settings, &GET.repeat(3), true, ok);
    assert_eq!(ended.heard, format!("{OK}{}", OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")));
    assert_eq!(ended.host.counted(Event::RequestsMax), 1);
}

#[test]
fn a_record_is_bounded() {
    let long = "a".repeat(5000);
    let says = format!("GET /{long} HTTP/1.1\r\nHost: a\r\nUser-Agent: {long}\r\nReferer: {long}\r\n\r\n");
    let ended = serve(Settings::default(), &says, true, ok);
    let records = ended.host.records();
    let text = |name: &str| match records[0].fields.iter().find(|(known, _)| *known == name) {
        Some((_, Value::Text(text))) => text.len(),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!((text("url"), text("user_agent"), text("referer")), (2048, 256, 256));
}
