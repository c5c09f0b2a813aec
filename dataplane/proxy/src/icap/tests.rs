//! Tables of what scanners may say, in pieces and whole; sessions through a scanner are in `http/tests/scan.rs`.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::head::{Collector, Encapsulated, Head, Part, parse};
use super::limits::{
    EXTENSIONS_MAX, FIELDS_MAX, HEAD_BYTES_MAX, OPTIONS_TTL_MAX, OPTIONS_TTL_MIN, SERVICES_MAX, THREAT_MAX,
};
use super::options::{Options, Treatment};
use super::settings::Settings;
use super::shared::Shared;
use super::threat::Threat;
use super::{Event, Service};

fn head(text: &str) -> Result<Head, Event> {
    parse(text.as_bytes())
}

fn encapsulated(value: &str) -> Result<Encapsulated, Event> {
    head(&format!("ICAP/1.0 200 OK\r\nEncapsulated: {value}\r\n\r\n")).map(|head| head.encapsulated)
}

#[test]
fn heads_are_what_the_table_says() {
    for (said, expected) in [
        ("ICAP/1.0 204 No Content\r\n\r\n", Ok(204)),
        ("ICAP/1.0 204\r\n\r\n", Ok(204)),
        ("ICAP/1.0 100 Continue\r\nISTag: \"x\"\r\n\r\n", Ok(100)),
        ("ICAP/1.0 200 OK\r\nX-Violations-Found: 1\r\n\t-\r\n\tEicar\r\n\r\n", Ok(200)),
        ("HTTP/1.1 200 OK\r\n\r\n", Err(Event::HeadInvalid)),
        ("ICAP/1.1 200 OK\r\n\r\n", Err(Event::HeadInvalid)),
        ("ICAP/1.0 20 OK\r\n\r\n", Err(Event::HeadInvalid)),
        ("ICAP/1.0 2000 OK\r\n\r\n", Err(Event::HeadInvalid)),
        ("ICAP/1.0 999 OK\r\n\r\n", Err(Event::HeadInvalid)),
        ("ICAP/1.0 +20 OK\r\n\r\n", Err(Event::HeadInvalid)),
        ("ICAP/1.0 200OK\r\n\r\n", Err(Event::HeadInvalid)),
        ("ICAP/1.0 200 OK\r\nno colon\r\n\r\n", Err(Event::HeadInvalid)),
        ("ICAP/1.0 200 OK\r\na b: x\r\n\r\n", Err(Event::HeadInvalid)),
        ("ICAP/1.0 200 OK\r\na: \0\r\n\r\n", Err(Event::HeadInvalid)),
        ("ICAP/1.0 200 OK\r\na: b\rc\r\n\r\n", Err(Event::HeadInvalid)),
        (" ICAP/1.0 200 OK\r\n\r\n", Err(Event::HeadInvalid)),
        ("\r\n\r\n", Err(Event::HeadInvalid)),
    ] {
        assert_eq!(head(said).map(|head| head.status), expected, "{said:?}");
    }
    let folded = head("ICAP/1.0 200 OK\r\nX: 1\r\n\ta\r\n  b\r\nY: c\r\n\r\n").expect("it is a head");
    assert_eq!((folded.headers.get("X"), folded.headers.get("Y")), (Some(&b"1 a b"[..]), Some(&b"c"[..])));
    let persistent = |text: &str| head(text).expect("it is a head").persistent;
    assert!(persistent("ICAP/1.0 204 N\r\nConnection: keep-alive\r\n\r\n"));
    assert!(!persistent("ICAP/1.0 204 N\r\nConnection: Close\r\n\r\n"));
}

#[test]
fn parts_are_what_the_table_says() {
    let parts = |part, head, body| Ok(Encapsulated { part, head, body });
    for (said, expected) in [
        ("null-body=0", parts(None, 0, false)),
        ("opt-body=0", parts(None, 0, true)),
        ("res-hdr=0, res-body=213", parts(Some(Part::Response), 213, true)),
        ("res-hdr=0,null-body=213", parts(Some(Part::Response), 213, false)),
        ("req-hdr=0, req-body=99", parts(Some(Part::Request), 99, true)),
        ("req-hdr=0, null-body=99", parts(Some(Part::Request), 99, false)),
        ("res-body=0", parts(None, 0, true)),
    ] {
        assert_eq!(encapsulated(said), expected, "{said}");
    }
    for said in [
        "",
        ",",
        "res-hdr=0",
        "res-hdr=1, res-body=9",
        "res-hdr=0, req-body=9",
        "req-hdr=0, res-body=9",
        "res-hdr=0, opt-body=9",
        "res-hdr=0, res-body=-1",
        "res-hdr=0, res-body=+1",
        "res-hdr=0, res-body=",
        "res-hdr=0, res-body=1x",
        "res-hdr=0, res-body=99999999999999999999999",
        "res-hdr=0, res-body=65537",
        "res-hdr=0, res-body=9, null-body=10",
        "req-hdr=0, res-hdr=9, res-body=99",
        "null-body=5",
        "nobody=0",
    ] {
        assert_eq!(encapsulated(said), Err(Event::EncapsulatedInvalid), "{said}");
    }
}

#[test]
fn heads_come_in_pieces() {
    let said = b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=5\r\n\r\nHTTP/";
    let end = said.len() - 5;
    for split in 0..=said.len() {
        let mut collector = Collector::default();
        let mut found = None;
        for (piece, before) in [(&said[..split], 0), (&said[split..], split)] {
            if found.is_none() {
                found = collector.feed(piece).expect("it is small").map(|taken| before + taken);
            }
        }
        assert_eq!(found, Some(end), "{split}");
        assert_eq!(collector.parse().map(|head| head.encapsulated.head), Ok(5));
    }
}

#[test]
fn heads_have_bounds() {
    let mut collector = Collector::default();
    let mut fed = 0;
    let refused = loop {
        match collector.feed(&[b'a'; 1000]) {
            Ok(None) => fed += 1000,
            other => break other,
        }
    };
    assert_eq!(refused, Err(Event::HeadLarge));
    assert!(fed <= HEAD_BYTES_MAX && fed + 1000 >= HEAD_BYTES_MAX);
    let many = |fields: usize| head(&format!("ICAP/1.0 200 OK\r\n{}\r\n", "a: b\r\n".repeat(fields)));
    assert!(many(FIELDS_MAX).is_ok());
    assert_eq!(many(FIELDS_MAX + 1).map(|_| ()), Err(Event::HeadLarge));
}

#[test]
fn options_are_what_the_table_says() {
    let read = |fields: &str| {
        let head = head(&format!("ICAP/1.0 200 OK\r\n{fields}\r\n")).expect("it is a head");
        Options::read(&head, Service::Respmod, Duration::from_secs(5))
    };
    let options = read(
        "Methods: RESPMOD, REQMOD\r\nPreview: 1024\r\nAllow: 206, 204\r\nMax-Connections: 20\r\nOptions-TTL: 600\r\n",
    );
    let options = options.expect("they are options");
    assert_eq!((options.preview, options.allow_204, options.max_connections), (Some(1024), true, Some(20)));
    assert_eq!(options.until, Duration::from_secs(605));
    assert_eq!(read("Methods: REQMOD\r\n"), Err(Event::MethodMissing));
    let bare = read("Preview: many\r\nMax-Connections: 0\r\n").expect("they are options");
    assert_eq!((bare.preview, bare.allow_204, bare.max_connections), (None, false, None));
    assert_eq!(bare.until, Duration::from_secs(5) + OPTIONS_TTL_MAX);
    let brief = read("Options-TTL: 0\r\n").expect("they are options");
    assert_eq!(brief.until, Duration::from_secs(5) + OPTIONS_TTL_MIN);
    let refused = head("ICAP/1.0 404 Not Found\r\n\r\n").expect("it is a head");
    assert_eq!(Options::read(&refused, Service::Reqmod, Duration::ZERO), Err(Event::StatusUnexpected));

    let options =
        read("Transfer-Preview: *\r\nTransfer-Ignore: png, GIF\r\nTransfer-Complete: exe\r\n").expect("options");
    for (path, treatment) in [
        ("/a.png", Treatment::Ignore),
        ("/a.gif?x=.exe", Treatment::Ignore),
        ("/a.b/setup.EXE", Treatment::Complete),
        ("/a.png/", Treatment::Preview),
        ("/", Treatment::Preview),
        ("/a.txt", Treatment::Preview),
    ] {
        assert_eq!(options.treatment(path), treatment, "{path}");
    }
    let all = read("Transfer-Complete: *\r\n").expect("options");
    assert_eq!(all.treatment("/x"), Treatment::Complete);
    let long = vec!["a"; EXTENSIONS_MAX + 1].join(",");
    assert_eq!(read(&format!("Transfer-Ignore: {long}\r\n")), Err(Event::HeadLarge));
}

#[test]
fn threats_are_named() {
    let threat = |field: &str| {
        let head = head(&format!("ICAP/1.0 200 OK\r\n{field}\r\n\r\n")).expect("it is a head");
        Threat::of(&head.headers).map(|threat| (threat.name, threat.repaired))
    };
    let named = |name: &str, repaired| Some((name.to_owned(), repaired));
    assert_eq!(threat("X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;"), named("Eicar", false));
    assert_eq!(threat("X-Infection-Found: Type=0; Resolution=1; Threat=Macro.A;"), named("Macro.A", true));
    assert_eq!(threat("X-Infection-Found: rubbish"), named("a threat without a name", false));
    assert_eq!(threat("X-Violations-Found: 1\r\n\t-\r\n\tEicar\r\n\t0\r\n\t2"), named("Eicar", false));
    assert_eq!(threat("X-Virus-ID: Worm"), named("Worm", false));
    assert_eq!(threat("X-Other: Worm"), None);
    let long = threat(&format!("X-Virus-ID: {}", "x".repeat(1000))).expect("there is one").0;
    assert_eq!(long.len(), THREAT_MAX);
}

#[test]
fn types_are_skipped_by_name() {
    let skip = vec!["image/*".to_owned(), "text/css".to_owned()];
    let settings = Settings { skip, ..Settings::new(([10, 0, 0, 1], 1344).into()) };
    for (said, skips) in [
        ("image/png", true),
        ("IMAGE/PNG; q=1", true),
        ("text/css ; charset=x", true),
        ("text/cssx", false),
        ("image", false),
        ("", false),
    ] {
        assert_eq!(settings.skips(said.as_bytes()), skips, "{said}");
    }
}

#[test]
fn a_core_knows_few_services_and_forgets_in_time() {
    let (shared, server) = (Shared::default(), ([10, 0, 0, 1], 1344).into());
    let head = head("ICAP/1.0 200 OK\r\nOptions-TTL: 60\r\n\r\n").expect("it is a head");
    let now = Duration::from_secs(1);
    for number in 0..=SERVICES_MAX {
        let options = Options::read(&head, Service::Respmod, now).expect("they are options");
        shared.keep(server, &format!("/{number}"), Service::Respmod, options);
    }
    assert_eq!(shared.known(), SERVICES_MAX);
    assert!(shared.options(server, "/0", Service::Respmod, now).is_none(), "the oldest went");
    assert!(shared.options(server, "/1", Service::Respmod, now).is_some());
    assert!(shared.options(server, "/1", Service::Reqmod, now).is_none(), "each method is asked for itself");
    assert!(shared.options(server, "/1", Service::Respmod, now + Duration::from_secs(60)).is_none(), "TTL");
}

#[test]
fn a_scanner_has_no_more_connections_than_it_takes() {
    let (shared, server) = (Shared::default(), ([10, 0, 0, 1], 1344).into());
    let cx = &mut Context::from_waker(Waker::noop());
    let take = |cx: &mut Context<'_>| shared.poll_slot(cx, server, Some(2));
    let Poll::Ready(first) = take(cx) else { panic!("one is free") };
    assert!(!shared.is_crowded(server, Some(2)));
    let Poll::Ready(second) = take(cx) else { panic!("two are free") };
    assert!(shared.is_crowded(server, Some(2)) && take(cx).is_pending());
    drop(first);
    let Poll::Ready(third) = take(cx) else { panic!("one is free again") };
    assert!(take(cx).is_pending());
    drop((second, third));
    assert!(take(cx).is_ready());
}
