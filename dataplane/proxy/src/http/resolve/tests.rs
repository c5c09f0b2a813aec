//! One question, one answer; what is no answer to it is none.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use super::{address, question, resolve};
use crate::http::event::Event;
use crate::memory::{ConnectAnswer, World, duplex};
use crate::session::SessionId;
use crate::stream::Stream;

/// An answer: an alias first, then the address.
fn answer(question: &[u8], flags: u16, data: &[u8]) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2..4].copy_from_slice(&flags.to_be_bytes());
    message[6..8].copy_from_slice(&2_u16.to_be_bytes());
    let kind: u8 = if data.len() == 4 { 1 } else { 28 };
    message.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 1, b'x', 0xc0, 12]);
    message.extend_from_slice(&[1, b'x', 0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 9, 0, data.len() as u8]);
    message.extend_from_slice(data);
    message
}

#[test]
fn answers_are_those_to_the_question() {
    let asked = question("www.example.com", false).expect("it is a name");
    let good = answer(&asked, 0x8180, &[10, 1, 2, 3]);
    assert_eq!(address(&good, &asked, false), Some(IpAddr::from([10, 1, 2, 3])));
    for cut in 0..good.len() {
        assert_eq!(address(&good[..cut], &asked, false), None, "cut at {cut}");
    }
    for (flags, why) in [(0x0180, "no response"), (0x8183, "no such name"), (0x8380, "truncated")] {
        assert_eq!(address(&answer(&asked, flags, &[10, 1, 2, 3]), &asked, false), None, "{why}");
    }
    let other = question("www.example.net", false).expect("it is a name");
    assert_eq!(address(&good, &other, false), None, "another question");
    assert_eq!(address(&good, &asked, true), None, "of the other family");
    let asked = question("a.b", true).expect("it is a name");
    let good = answer(&asked, 0x8180, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(address(&good, &asked, true), Some("2001:db8::1".parse().expect("it is one")));
}

#[test]
fn names_have_bounds() {
    for name in ["a..b", "", &"a".repeat(64), &"a.".repeat(127), "[::1]"] {
        assert_eq!(question(name, false), None, "{name}");
    }
}

/// Asks a resolver that answers so, a byte at a time.
fn asked(reply: impl FnOnce(&[u8]) -> Option<Vec<u8>> + 'static) -> Result<IpAddr, Event> {
    let mut world = World::new();
    let (leg, mut resolver) = duplex(1000);
    world.host().answer_related(ConnectAnswer::After(Duration::ZERO, Ok(leg)));
    let host = world.host();
    let result = world.spawn(async move {
        resolve(&host, SessionId(1), "10.0.0.53:53".parse().expect("one"), "www.example.com", false).await
    });
    let _ = world.spawn(async move {
        let Ok(Some(question)) = resolver.read().await else { return };
        let Some(reply) = reply(&question[2..]) else { return std::future::pending().await };
        for byte in (reply.len() as u16).to_be_bytes().into_iter().chain(reply) {
            let _ = resolver.send(Bytes::from(vec![byte])).await;
        }
        resolver.shutdown();
    });
    world.run();
    result.take().expect("it ends")
}

#[test]
fn a_resolver_is_asked_over_tcp_and_not_for_ever() {
    assert_eq!(asked(|question| Some(answer(question, 0x8180, &[10, 1, 2, 3]))), Ok(IpAddr::from([10, 1, 2, 3])));
    assert_eq!(asked(|_| Some(vec![0; 12])), Err(Event::Unresolved));
    assert_eq!(asked(|_| Some(vec![0; 60_000])), Err(Event::Unresolved));
    assert_eq!(asked(|_| None), Err(Event::Unresolved));
}
