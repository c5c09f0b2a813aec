//! The table of responses, in every split.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::cases::{Case, cases};
use super::scene::{WINDOW, client, info, splits, statuses_of};
use crate::event::Event as AnyEvent;
use crate::http::{Settings, run};
use crate::memory::{ConnectAnswer, World, duplex};
use crate::session::{Session, SessionId};
use crate::stream::Stream;

const TABLE: &str = include_str!("responses.txt");

fn request(with: &str) -> (&'static str, Settings) {
    let defaults = Settings::default();
    match with {
        "" | "whole" => ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", defaults),
        "bodymax" => ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Settings { response_body_max: Some(1000), ..defaults }),
        "head" => ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", defaults),
        "old" => ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", defaults),
        "oldkeep" => ("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", defaults),
        "ws" => (
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            Settings { upgrade: vec!["websocket".into()], ..defaults },
        ),
        other => panic!("no request is called `{other}`"),
    }
}

fn check(case: &Case, pieces: Vec<Bytes>, how: &str) {
    let mut world = World::new();
    let (ours, leg) = duplex(WINDOW);
    let (request, settings) = request(&case.with);
    let (server_leg, mut server) = duplex(WINDOW);
    world.host().answer_connect(ConnectAnswer::After(std::time::Duration::ZERO, Ok(server_leg)));
    let session = Session { id: SessionId(7), host: world.host(), client: leg, info: info() };
    let outcome = world.spawn(run(session, Arc::new(settings)));
    let asked = Rc::new(RefCell::new(0));
    let counted = Rc::clone(&asked);
    let _ = world.spawn(async move {
        let _ = server.read().await;
        *counted.borrow_mut() += 1;
        for piece in pieces {
            if server.send(piece).await.is_err() {
                return;
            }
        }
        server.shutdown();
        while let Ok(Some(_)) = server.read().await {
            *counted.borrow_mut() += 1;
        }
    });
    let heard = world.spawn(client(ours, vec![Bytes::from(request)], true));
    world.run();
    let (heard, failed) = heard.take().expect("the client hears an end");
    let (mut verdict, _) = statuses_of(&heard, case.with == "head");
    if failed.is_some() {
        verdict = vec!["reset".to_owned()];
    }
    let happened = |name: &&String| {
        let event = AnyEvent::all().find(|event| event.name() == **name).unwrap_or_else(|| panic!("no event `{name}`"));
        world.host().counted(event) > 0
    };
    verdict.extend(case.verdict.iter().filter(|word| word.starts_with("http_")).filter(happened).cloned());
    let about = format!("{} ({how}): {}", case.name, case.why);
    let mut expected = case.verdict.clone();
    if expected[0] == "*" {
        // However many came before.
        let last = verdict.len() - (expected.len() - 1);
        verdict.drain(..last);
        expected.remove(0);
    }
    assert_eq!(verdict, expected, "{about}\n{}", String::from_utf8_lossy(&heard));
    assert_eq!(*asked.borrow(), 1, "{about}: one request is asked");
    match case.sees.as_ref().filter(|sees| !sees.is_empty()) {
        // Where bytes are framed by us, pieces make chunks.
        Some(_) if case.with == "whole" && how != "split 0" => {}
        Some(sees) => assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(sees), "{about}"),
        None => {}
    }
    assert!(outcome.take().is_some(), "{about}: the session has ended");
}

#[test]
fn every_response_has_its_verdict_in_every_split() {
    let cases = cases(TABLE);
    assert!(cases.len() >= 60, "{}", cases.len());
    for case in cases {
        assert!(!case.why.is_empty(), "{} has no reason", case.name);
        let all = if case.says.is_empty() { vec![Vec::new()] } else { splits(&case.says) };
        for (number, pieces) in all.into_iter().enumerate() {
            check(&case, pieces, &format!("split {number}"));
        }
    }
}
