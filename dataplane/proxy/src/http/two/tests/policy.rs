//! Decisions are HTTP/1's, one stream at a time: the same settings, the same events, and the other streams go on.

use http::{HeaderValue, Method};

use super::*;
use crate::host::Target;
use crate::http::filter::{Filter, FilterRule, Pattern, Sentence};
use crate::http::pages::Pages;
use crate::http::policy::{
    Action, Change, HeaderRule, HeaderRules, MethodRules, RouteRule, Server, StatusRule, StatusRules,
};
use crate::outcome::Reason;
use crate::record::{Record, Value};

fn field(record: &Record, name: &str) -> Value {
    let found = record.fields.iter().find(|(field, _)| *field == name);
    found.map(|(_, value)| value.clone()).expect("the record has it")
}

fn methods(action: Action) -> Settings {
    let methods = MethodRules::new(vec![(crate::http::Method::GET, action)], Action::Accept);
    Settings { methods, ..settings() }
}

fn filtered(pattern: Pattern, sentence: Sentence) -> Settings {
    Settings { filter: Filter(vec![FilterRule { pattern, sentence }]), ..settings() }
}

#[test]
fn a_request_passes_with_its_head_and_is_put_on_record() {
    let mut request = get("/a/../b?c=%41");
    request.headers_mut().append("cookie", HeaderValue::from_static("a=1"));
    request.headers_mut().append("cookie", HeaderValue::from_static("b=2"));
    request.headers_mut().insert("x-other", HeaderValue::from_static("kept"));
    let (got, scene) = one(Settings { via: Some("gate".into()), forwarded_for: true, ..settings() }, request, vec![]);
    assert_eq!(got.text(), (200, "hello /b".to_owned()));
    assert_eq!(got.headers.get("via").map(HeaderValue::as_bytes), Some(&b"2.0 gate"[..]));
    let seen = scene.seen.borrow();
    assert_eq!(seen[0].uri(), "http://www.example.com/b?c=A", "the canonical URL");
    let header = |name: &str| seen[0].headers().get(name).map(|value| value.to_str().expect("it is text").to_owned());
    assert_eq!(header("cookie").as_deref(), Some("a=1; b=2"), "RFC 9113, 8.2.3");
    assert_eq!(header("x-other").as_deref(), Some("kept"));
    assert_eq!(header("x-forwarded-for").as_deref(), Some("192.168.1.5"));
    assert_eq!(header("host"), None, "the authority says it");
    let records = scene.world.host().records();
    let record = &records[0];
    assert_eq!(field(record, "version"), Value::from("HTTP/2.0"));
    assert_eq!(field(record, "status"), Value::from(200_u64));
    assert_eq!(field(record, "bytes"), Value::from(8_u64));
    assert_eq!(field(record, "url"), Value::from("http://www.example.com/b?c=A"));
    let outcome = scene.outcome.take().expect("the session has ended");
    assert_eq!(outcome.reason, Reason::Finished);
    assert!(outcome.to_server > 0 && outcome.to_client > 0, "{outcome:?}");
    for event in [Event::TwoSession, Event::TwoServer, Event::Request, Event::Passed, Event::Response] {
        assert_eq!(counted(&scene, event), 1, "{event:?}");
    }
}

#[test]
fn what_policy_denies_is_told_on_its_stream() {
    let header = |change| HeaderRules(vec![HeaderRule { name: "x-bad".into(), change }]);
    let statuses = StatusRules(vec![StatusRule { method: None, from: 200, to: 299, action: Action::reject() }]);
    let host = Pattern::Host("example.com".into());
    for (settings, status, error, event) in [
        (methods(Action::reject()), 403, None, Event::MethodDenied),
        (methods(Action::Deny), 0, Some(Code::CANCEL), Event::MethodDenied),
        (methods(Action::Abort), 0, Some(Code::CANCEL), Event::MethodDenied),
        (filtered(host.clone(), Sentence::Action(Action::reject())), 403, None, Event::UrlDenied),
        (filtered(host, Sentence::Elsewhere("http://other.example/".into())), 302, None, Event::UrlDenied),
        (
            Settings { pages: Pages { silent: true, ..Pages::default() }, ..methods(Action::reject()) },
            0,
            Some(Code::CANCEL),
            Event::MethodDenied,
        ),
        (
            Settings { request_headers: header(Change::Refuse(Action::reject())), ..settings() },
            403,
            None,
            Event::HeaderDenied,
        ),
        (Settings { statuses, ..settings() }, 403, None, Event::StatusDenied),
    ] {
        let mut request = get("/denied");
        request.headers_mut().insert("x-bad", HeaderValue::from_static("yes"));
        let (got, scene) = one(settings, request, vec![]);
        assert_eq!((got.status, got.error), (status, error), "{event:?}");
        assert_eq!(counted(&scene, event), 1, "{event:?}");
        if status > 0 {
            let sentence = event.sentence().replace('\'', "&#39;");
            assert!(String::from_utf8_lossy(&got.body).contains(&sentence), "{event:?}: a page says why");
        }
    }
}

#[test]
fn one_stream_is_denied_while_others_go_on() {
    let settings = filtered(Pattern::Prefix("www.example.com/denied".into()), Sentence::Action(Action::Deny));
    let (mut scene, stream) = scene(settings, by_path);
    let task = client(&mut scene, stream, |send, _| async move {
        let (big, denied) =
            (fetch(send.clone(), get("/big/300"), vec![], None), fetch(send.clone(), get("/denied/x"), vec![], None));
        let after = fetch(send, get("/after"), vec![], None);
        both(big, both(denied, after)).await
    });
    scene.world.run();
    let (big, (denied, after)) = task.take().expect("the client is done");
    assert_eq!((big.status, big.body.len(), big.error), (200, 300 << 10, None));
    assert_eq!((denied.status, denied.error), (0, Some(Code::CANCEL)));
    assert_eq!(after.text(), (200, "hello /after".to_owned()));
    assert_eq!(scene.world.host().connected().len(), 1, "all over one connection");
}

#[test]
fn headers_of_requests_and_responses_are_changed_by_rules() {
    let rule = |name: &str, change| HeaderRule { name: name.into(), change };
    let settings = Settings {
        request_headers: HeaderRules(vec![rule("x-old", Change::Drop), rule("X-New", Change::Insert(b"1".to_vec()))]),
        response_headers: HeaderRules(vec![rule("Server", Change::Value(b"none".to_vec()))]),
        ..settings()
    };
    let mut request = get("/");
    request.headers_mut().insert("x-old", HeaderValue::from_static("1"));
    let (got, scene) = one(settings, request, vec![]);
    assert_eq!(got.headers.get("server").map(HeaderValue::as_bytes), Some(&b"none"[..]));
    let seen = scene.seen.borrow();
    assert!(!seen[0].headers().contains_key("x-old") && seen[0].headers().contains_key("x-new"));
}

#[test]
fn routes_lead_streams_to_their_servers() {
    let other = "10.0.0.10:8080".parse().expect("it is an address");
    let routes =
        vec![RouteRule { methods: vec![crate::http::Method::POST], urls: vec![], server: Server::Address(other) }];
    let (mut scene, stream) = scene(Settings { routes, ..settings() }, by_path);
    let task = client(&mut scene, stream, |send, _| async move {
        let get = fetch(send.clone(), get("/a"), vec![], None);
        both(get, fetch(send, asked(Method::POST, "/b"), vec![], None)).await
    });
    scene.world.run();
    let (one, two) = task.take().expect("the client is done");
    assert_eq!((one.status, two.status), (200, 200));
    let targets: Vec<Target> = scene.world.host().connected().into_iter().map(|(_, target)| target).collect();
    assert_eq!(targets.len(), 2);
    assert!(targets.contains(&Target::Original) && targets.contains(&Target::Address(other)), "{targets:?}");
}

#[test]
fn a_session_has_so_many_servers_at_most() {
    let url = |n: usize| Pattern::Exact(format!("www.example.com/{n}"));
    let server = |n: usize| Server::Address(format!("10.0.1.{n}:80").parse().expect("it is an address"));
    let all = crate::http::limits::SERVERS_MAX + 1;
    let routes = (0..all).map(|n| RouteRule { methods: vec![], urls: vec![url(n)], server: server(n) }).collect();
    let (mut scene, stream) = scene(Settings { routes, ..settings() }, by_path);
    let task = client(&mut scene, stream, move |send, _| async move {
        let mut statuses = Vec::new();
        for n in 0..all {
            statuses.push(fetch(send.clone(), get(&format!("/{n}")), vec![], None).await.status);
        }
        statuses
    });
    scene.world.run();
    let statuses = task.take().expect("the client is done");
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), all - 1);
    assert_eq!(statuses.last(), Some(&503));
}

#[test]
fn what_differs_between_fields_is_refused() {
    let with = |name: &'static str, value: &'static str| {
        let mut request = get("/");
        request.headers_mut().append(name, HeaderValue::from_static(value));
        request
    };
    let mut https = get("/");
    *https.uri_mut() = "https://www.example.com/".parse().expect("it is a URL");
    for (request, status, event) in [
        (with("host", "other.example"), 400, Event::HostDiffers),
        (https, 400, Event::SchemeDiffers),
        (with("authorization", "a"), 200, Event::Passed),
        (with("content-length", "0"), 200, Event::Passed),
        (with("content_length", "5"), 400, Event::Lookalike),
        (with("expect", "the-best"), 417, Event::Expectation),
        (with("x", " blank "), 400, Event::FieldValue),
        (get("/%00"), 400, Event::UrlInvalid),
        (get("/a%2F.."), 400, Event::UrlInvalid),
        (asked(Method::from_bytes(b"BREW").expect("it is a token"), "/"), 403, Event::MethodDenied),
        (
            Request::builder().method("CONNECT").uri("www.example.com:443").body(()).expect("it is one"),
            403,
            Event::FormDenied,
        ),
    ] {
        let (got, scene) = one(settings(), request, vec![]);
        assert_eq!(got.status, status, "{event:?}");
        assert_eq!(counted(&scene, event), 1, "{event:?}");
    }
    let mut twice = with("authorization", "a");
    twice.headers_mut().append("authorization", HeaderValue::from_static("b"));
    assert_eq!(one(settings(), twice, vec![]).0.status, 400);
}

#[test]
fn bounds_of_heads_are_the_services() {
    let long = |name: &'static str, len: usize| {
        let mut request = get("/");
        request.headers_mut().insert(name, HeaderValue::from_str(&"x".repeat(len)).expect("it is a value"));
        request
    };
    let mut many = get("/");
    for _ in 0..101 {
        many.headers_mut().append("x", HeaderValue::from_static("y"));
    }
    let mut large = get("/");
    for _ in 0..3 {
        large.headers_mut().append("x", HeaderValue::from_str(&"x".repeat(12 << 10)).expect("it is a value"));
    }
    for (request, status, event) in [
        (long("x", 16 << 10), 431, Event::LineLong),
        (many, 431, Event::FieldsMany),
        (large, 431, Event::HeadLong),
        (get(&format!("/{}", "x".repeat(8192))), 414, Event::UrlLong),
    ] {
        let (got, scene) = one(settings(), request, vec![]);
        assert_eq!((got.status, counted(&scene, event)), (status, 1), "{event:?}");
    }
}

#[test]
fn scripts_decide_as_for_http_1() {
    let source = "function request(s, r)\n if r.path == '/denied' then return 'reject', 451, 'no' end\n r:set_header('X-Script', r.version)\nend\n\
                  function response(s, q, r)\n r:set_header('X-Answer', 'seen')\nend\n";
    let script = crate::script::Settings::new("two.lua", source, 1 << 20, 1_000_000).expect("it is a script");
    let settings = || Settings { script: Some(Arc::new(script.clone())), ..settings() };
    let (got, scene) = one(settings(), get("/"), vec![]);
    assert_eq!(got.status, 200, "{:?}", scene.world.host().lines());
    assert!(got.headers.contains_key("x-answer"), "{:?}", got.headers);
    assert_eq!(scene.seen.borrow()[0].headers().get("x-script").map(HeaderValue::as_bytes), Some(&b"2"[..]));
    let (got, scene) = one(settings(), get("/denied"), vec![]);
    assert_eq!((got.status, counted(&scene, Event::ScriptDenied)), (451, 1));
}

#[test]
fn memory_that_is_short_is_told() {
    let (mut scene, stream) = scene(settings(), by_path);
    scene.world.host().set_short_of_memory(true);
    let task = client(&mut scene, stream, |send, _| fetch(send, get("/"), vec![], None));
    scene.world.run();
    assert_eq!(task.take().expect("the client is done").status, 503);
}

#[test]
fn without_the_key_its_preface_is_no_request() {
    let (mut scene, stream) = scene(Settings::default(), by_path);
    let task = client(&mut scene, stream, |send, _| fetch(send, get("/"), vec![], None));
    scene.world.run();
    assert!(task.take().expect("the client is done").error.is_some());
    assert_eq!(counted(&scene, Event::Version), 1);
    assert_eq!(counted(&scene, Event::TwoSession), 0);
}

/// Both, each as far as it can.
async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (Box::pin(a), Box::pin(b));
    let (mut left, mut right) = (None, None);
    poll_fn(|cx| {
        if left.is_none()
            && let Poll::Ready(value) = a.as_mut().poll(cx)
        {
            left = Some(value);
        }
        if right.is_none()
            && let Poll::Ready(value) = b.as_mut().poll(cx)
        {
            right = Some(value);
        }
        if left.is_some() && right.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (left.expect("it is ready"), right.expect("it is ready"))
}
