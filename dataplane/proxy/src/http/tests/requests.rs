//! The table of requests, in every split.

use super::cases::{Case, cases};
use super::scene::{Said, Scene, client, message_end, said, scene, splits, statuses};
use crate::event::Event as AnyEvent;
use crate::http::body::Trailers;
use crate::http::policy::{Action, MethodRules};
use crate::http::{Connect, Settings};

pub(super) const TABLE: &str = include_str!("requests.txt");

/// What `with` means.
fn settings(with: &str) -> Settings {
    let defaults = Settings::default();
    match with {
        "" => defaults,
        "all" => Settings { methods: MethodRules::new(Vec::new(), Action::Accept), ..defaults },
        "getbody" => Settings { permit_get_body: true, ..defaults },
        "bodymax" => Settings { request_body_max: Some(1000), ..defaults },
        "trailers" => Settings { trailers: Trailers::Pass, ..defaults },
        "notrailers" => Settings { trailers: Trailers::Refuse, ..defaults },
        "proxy" => Settings {
            permit_proxy_requests: true,
            connect: Some(Connect { ports: vec![443..=443], service: None }),
            ..defaults
        },
        other => panic!("no settings are called `{other}`"),
    }
}

fn answer(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
    message_end(bytes).map(|end| (end, said("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")))
}

fn check(case: &Case, pieces: Vec<bytes::Bytes>, how: &str) {
    let (Scene { mut world, seen, outcome, .. }, stream) = scene(settings(&case.with), answer);
    let heard = world.spawn(client(stream, pieces, true));
    world.run();
    let (heard, _) = heard.take().expect("the client hears an end");
    let (mut verdict, rest) = statuses(&heard);
    let counted = |name: &String| {
        let event = AnyEvent::all().find(|event| event.name() == name).unwrap_or_else(|| panic!("no event `{name}`"));
        world.host().counted(event) > 0
    };
    verdict.extend(case.verdict.iter().filter(|word| word.starts_with("http_")).filter(|name| counted(name)).cloned());
    let about = format!("{} ({how}): {}", case.name, case.why);
    assert!(rest.is_empty(), "{about}: {}", String::from_utf8_lossy(&rest));
    assert_eq!(verdict, case.verdict, "{about}\n{}", String::from_utf8_lossy(&heard));
    if let Some(sees) = &case.sees {
        let seen = seen.borrow();
        assert_eq!(String::from_utf8_lossy(&seen), String::from_utf8_lossy(sees), "{about}");
        assert_eq!(*seen, *sees, "{about}");
    }
    assert!(outcome.take().is_some(), "{about}: the session has ended");
}

#[test]
fn the_table_is_large_and_says_why() {
    let cases = cases(TABLE);
    assert!(cases.len() >= 200, "{}", cases.len());
    for case in &cases {
        assert!(!case.why.is_empty(), "{} has no reason", case.name);
    }
}

#[test]
fn every_request_has_its_verdict_in_every_split() {
    for case in cases(TABLE) {
        for (number, pieces) in splits(&case.says).into_iter().enumerate() {
            check(&case, pieces, &format!("split {number}"));
        }
    }
}
