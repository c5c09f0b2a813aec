//! What the policy makes of requests and responses, alone.

use regex::bytes::Regex;

use super::{
    Action, Change, HeaderRule, HeaderRules, How, Refusal, Route, STRICT_TABLE, StatusRule, StatusRules, Strict,
    StrictAction, decide_request, decide_response,
};
use crate::http::event::Event;
use crate::http::{Form, Headers, Method, Request, Response, Settings, Url, UrlRules, Version};

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.insert(name, value.as_bytes()).expect("it is a field");
    }
    headers
}

fn request(fields: &[(&str, &str)]) -> Request {
    Request {
        method: Method::GET,
        url: Url::parse(b"http://a/", &UrlRules::default()).expect("it is a URL"),
        version: Version::Http11,
        form: Form::Origin,
        headers: headers(fields),
    }
}

fn rule(name: &str, change: Change) -> HeaderRule {
    HeaderRule { name: name.to_owned(), change }
}

#[test]
fn header_rules_do_what_zorps_did() {
    let regex = Regex::new("^Bearer (.*)$").expect("it is one");
    let rules = vec![
        rule("Drop", Change::Drop),
        rule("Name", Change::Name("Other".into())),
        rule("Value", Change::Value(b"new".to_vec())),
        rule("Token", Change::Regex(regex, b"Basic $1".to_vec())),
        rule("Both", Change::Accept),
        rule("Both", Change::Drop),
        rule("Added", Change::Insert(b"2".to_vec())),
        rule("Set", Change::Replace(b"3".to_vec())),
    ];
    let settings = Settings { request_headers: HeaderRules(rules), ..Settings::default() };
    let mut asked = request(&[
        ("a", "1"),
        ("DROP", "x"),
        ("name", "x"),
        ("value", "x"),
        ("Token", "Bearer y"),
        ("both", "x"),
        ("Added", "1"),
        ("set", "1"),
        ("Set", "2"),
        ("drop", "y"),
    ]);
    assert_eq!(decide_request(&settings, &mut asked), Ok(Route::Original));
    let expected = headers(&[
        ("a", "1"),
        ("Other", "x"),
        ("value", "new"),
        ("Token", "Basic y"),
        ("both", "x"),
        ("Added", "1"),
        ("set", "3"),
        ("Added", "2"),
    ]);
    assert_eq!(asked.headers, expected);
}

#[test]
fn all_other_headers_have_a_rule_too() {
    let rules = vec![rule("Host", Change::Accept), rule("*", Change::Drop)];
    let settings = Settings { request_headers: HeaderRules(rules), ..Settings::default() };
    let mut asked = request(&[("Host", "a"), ("X", "y")]);
    assert_eq!(decide_request(&settings, &mut asked), Ok(Route::Original));
    assert_eq!(asked.headers, headers(&[("Host", "a")]));
    let rules = vec![rule("X", Change::Refuse(Action::Abort))];
    let settings = Settings { request_headers: HeaderRules(rules), ..Settings::default() };
    let refusal = Refusal { event: Event::HeaderDenied, how: How::Abort };
    assert_eq!(decide_request(&settings, &mut request(&[("x", "")])), Err(refusal));
}

#[test]
fn statuses_have_rules_by_method() {
    let rules = vec![
        StatusRule { method: Some(Method::HEAD), from: 500, to: 599, action: Action::Accept },
        StatusRule {
            method: None,
            from: 500,
            to: 599,
            action: Action::Reject { status: 502, info: Some("no".into()) },
        },
    ];
    let settings = Settings { statuses: StatusRules(rules), ..Settings::default() };
    let answer = |method: Method, status| {
        let asked = Request { method, ..request(&[]) };
        let mut response = Response { version: Version::Http11, status, reason: Vec::new(), headers: Headers::new() };
        decide_response(&settings, &asked, &mut response).map_err(|refusal| refusal.how)
    };
    assert_eq!((answer(Method::GET, 200), answer(Method::HEAD, 503)), (Ok(()), Ok(())));
    assert_eq!(answer(Method::GET, 503), Err(How::Page { status: 502, info: "no".into() }));
}

#[test]
fn the_strict_table_is_sorted_and_fits_today() {
    assert!(STRICT_TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let today = [
        ("Accept", "text/html,application/xhtml+xml;q=0.9,image/avif,*/*;q=0.8"),
        ("ETag", "W/\"5f-abc+/=\""),
        ("Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x_y-z"),
        ("Authorization-Digest", "any \u{e4}"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("If-None-Match", "W/\"a\", \"b\""),
        ("Cache-Control", "max-age=0, s-maxage=10, stale-while-revalidate=5"),
        ("Cookie", "a={\"json\": [1]}; b=%20"),
        ("Content-Type", "multipart/form-data; boundary=----WebKitFormBoundaryX"),
        ("Origin", "null"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Expires", "-1"),
        ("Range", "bytes=0-,-5"),
        ("Sec-CH-UA", "\"Chromium\";v=\"128\""),
        ("Content-Disposition", "attachment; filename*=UTF-8''%e4.txt"),
        ("Destination", "http://a/b%20c"),
        ("If", "(<urn:uuid:1> [\"a\"])"),
        ("Timeout", "Infinite, Second-4100000000"),
    ];
    let refuse = Settings { strict: Some(Strict { action: StrictAction::Refuse }), ..Settings::default() };
    assert_eq!(decide_request(&refuse, &mut request(&today)), Ok(Route::Original));
    for bad in [
        ("ETag", "\u{e4}"),
        ("Content-Length", "1 "),
        ("Age", "x"),
        ("Origin", "http://a b"),
        ("Depth", "\u{e4}"),
        ("User-Agent", "\u{e4}"),
        ("Overwrite", "TTTTTTTTTTTT"),
        ("Date", "<script>"),
    ] {
        let mut asked = request(&[]);
        if asked.headers.insert(bad.0, bad.1.as_bytes()).is_err() {
            continue;
        }
        assert_eq!(decide_request(&refuse, &mut asked), Err(Refusal::page(Event::StrictDenied)), "{bad:?}");
        let drop = Settings { strict: Some(Strict { action: StrictAction::Drop }), ..Settings::default() };
        assert_eq!((decide_request(&drop, &mut asked), asked.headers.len()), (Ok(Route::Original), 0), "{bad:?}");
    }
}
