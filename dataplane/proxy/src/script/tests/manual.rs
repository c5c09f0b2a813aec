//! The manual's ten examples, taken from it and run.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::limits::{INSTRUCTIONS_DEFAULT, MEMORY_DEFAULT};
use super::super::{Answer, Settings, TlsAnswer, start, view};
use super::session;
use crate::host::{Host, Target};
use crate::memory::{MemoryHost, World};
use crate::outcome::Reason;
use crate::session::Session;

/// The example of that number, compiled.
fn example(number: usize) -> Arc<Settings> {
    let manual = include_str!("../../../SCRIPT.md");
    let section = manual.split(&format!("\n### {number}. ")).nth(1).expect("the manual has it");
    let source = section.split("```lua\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it has code");
    let settings = Settings::new("example", source, MEMORY_DEFAULT, INSTRUCTIONS_DEFAULT);
    Arc::new(settings.unwrap_or_else(|fault| panic!("example {number}: {fault:?}")))
}

fn from(world: &World, client: &str, server: &str, zone: Option<&str>) -> Session<MemoryHost> {
    let mut session = session(world);
    session.info.client = format!("{client}:40000").parse().expect("an address");
    session.info.original_destination = server.parse().expect("an address");
    session.info.client_zone = zone.map(Into::into);
    session
}

fn begins(settings: &Arc<Settings>, mut session: Session<MemoryHost>) -> Option<Reason> {
    start(&mut session, Some(settings)).err()
}

fn at(world: &mut World, time: Duration) {
    let host = world.host();
    let _ = world.spawn(async move { host.sleep(time - host.now()).await });
    world.run();
}

fn request(method: &'static str, url: &str) -> view::Request {
    view::Request { method: method.into(), url: url.to_owned(), version: 11, ..view::Request::default() }
}

const DENIED: Option<Reason> = Some(Reason::PolicyDenied);

#[test]
fn opening_hours() {
    let (mut world, settings) = (World::new(), example(1));
    let guest = |world: &World| from(world, "10.9.0.1", "10.0.0.9:80", Some("guests"));
    assert_eq!(begins(&settings, guest(&world)), DENIED, "it is midnight");
    assert_eq!(begins(&settings, from(&world, "10.1.0.1", "10.0.0.9:80", Some("staff"))), None);
    at(&mut world, Duration::from_secs(9 * 3600));
    assert_eq!(begins(&settings, guest(&world)), None);
    at(&mut world, Duration::from_secs(18 * 3600));
    assert_eq!(begins(&settings, guest(&world)), DENIED);
}

#[test]
fn so_many_sessions_a_minute() {
    let (mut world, settings) = (World::new(), example(2));
    let client = |world: &World, client| from(world, client, "10.0.0.9:80", None);
    for _ in 0..60 {
        assert_eq!(begins(&settings, client(&world, "10.1.0.1")), None);
    }
    assert_eq!(begins(&settings, client(&world, "10.1.0.1")), DENIED);
    assert_eq!(begins(&settings, client(&world, "10.1.0.2")), None);
    at(&mut world, Duration::from_secs(61));
    assert_eq!(begins(&settings, client(&world, "10.1.0.1")), None);
}

#[test]
fn shorter_time_outs() {
    let (world, settings) = (World::new(), example(3));
    for (client, idle, total) in [("10.1.0.1", 60, None), ("192.0.2.1", 30, Some(3600))] {
        let mut session = from(&world, client, "10.0.0.9:80", None);
        assert!(start(&mut session, Some(&settings)).is_ok());
        assert_eq!(session.info.idle, Duration::from_secs(idle));
        assert_eq!(session.info.total, total.map(Duration::from_secs));
    }
}

#[test]
fn servers_by_address() {
    let (world, settings) = (World::new(), example(4));
    for (client, server) in
        [("10.1.0.3", "10.0.1.1:8080"), ("10.1.0.4", "10.0.1.2:8080"), ("10.1.0.5", "10.0.1.3:8080")]
    {
        let script = start(&mut from(&world, client, "10.0.0.9:80", None), Some(&settings)).expect("it begins");
        assert_eq!(script.route(&world.host()), Ok(Target::Address(server.parse().expect("an address"))));
    }
}

#[test]
fn servers_by_request() {
    let (world, settings) = (World::new(), example(5));
    let script = start(&mut session(&world), Some(&settings)).expect("it begins");
    for (method, url, server) in [
        ("PROPFIND", "http://a.example/x", Some("10.0.2.10:80")),
        ("GET", "http://a.example/static/x.png", Some("10.0.2.20:80")),
        ("GET", "http://a.example/x/static/", None),
    ] {
        let mut request = request(method, url);
        assert_eq!(script.request(&world.host(), &mut request), Ok(Answer::Accept));
        assert_eq!(request.server, server.map(|server| server.parse().expect("an address")));
    }
}

#[test]
fn headers_that_servers_believe() {
    let (world, settings) = (World::new(), example(6));
    let mut guest = from(&world, "10.9.0.1", "10.0.0.9:80", Some("guests"));
    let script = start(&mut guest, Some(&settings)).expect("it begins");
    let mut asked = request("GET", "http://a.example/");
    asked.headers.push("X-Forwarded-For".into(), "127.0.0.1".into());
    asked.headers.push("User-Agent".into(), "curl".into());
    assert_eq!(script.request(&world.host(), &mut asked), Ok(Answer::Accept));
    assert_eq!(asked.headers.get(b"x-forwarded-for"), None);
    assert_eq!(asked.headers.get(b"x-client-zone"), Some(&Bytes::from_static(b"guests")));
    asked.headers.set("User-Agent".into(), "BadBot/1.0".into());
    let rejected = Answer::Reject { code: 403, text: "Robots are not welcome here.".to_owned() };
    assert_eq!(script.request(&world.host(), &mut asked), Ok(rejected));
    assert!(world.host().lines().iter().any(|(_, _, line)| line == "a bad bot: BadBot/1.0"));
}

#[test]
fn what_responses_tell() {
    let (world, settings) = (World::new(), example(7));
    let script = start(&mut session(&world), Some(&settings)).expect("it begins");
    let mut response = view::Response { status: 200, ..view::Response::default() };
    response.headers.push("Server".into(), "secret".into());
    let page = request("GET", "http://a.example/x.html");
    assert_eq!(script.response(&world.host(), &page, &mut response), Ok(Answer::Accept));
    assert!(response.headers.is_empty() && response.changed.headers);
    let program = request("GET", "http://a.example/Setup.EXE");
    let answer = script.response(&world.host(), &program, &mut response);
    assert!(matches!(answer, Ok(Answer::Reject { code: 403, .. })));
}

#[test]
fn uploads_into_one_place() {
    let (world, settings) = (World::new(), example(8));
    let script = start(&mut session(&world), Some(&settings)).expect("it begins");
    let command = |user: &str, verb: &str| view::Command {
        verb: verb.to_owned(),
        argument: Bytes::from_static(b"file"),
        user: Some(user.to_owned()),
        ..view::Command::default()
    };
    let mut stored = command("anonymous", "STOR");
    assert_eq!(script.command(&world.host(), &mut stored), Ok(Answer::Accept));
    assert_eq!(&*stored.argument, b"/incoming/file");
    let answer = script.command(&world.host(), &mut command("anonymous", "DELE"));
    assert_eq!(answer, Ok(Answer::Reject { code: 550, text: "Not for you.".to_owned() }));
    assert_eq!(script.command(&world.host(), &mut command("joe", "DELE")), Ok(Answer::Accept));
}

#[test]
fn what_is_looked_into() {
    let (world, settings) = (World::new(), example(9));
    let script = start(&mut session(&world), Some(&settings)).expect("it begins");
    let ask = |version, sni: Option<&str>| {
        let hello = view::Hello { version, sni: sni.map(str::to_owned), ..view::Hello::default() };
        script.hello(&world.host(), &hello)
    };
    assert_eq!(ask(0x0302, Some("a.example")), Ok(TlsAnswer::Deny { why: "TLS 1.1 is too old".to_owned() }));
    assert_eq!(ask(0x0304, Some("www.bank.example")), Ok(TlsAnswer::Splice));
    assert_eq!(ask(0x0304, Some("bank.example")), Ok(TlsAnswer::Splice));
    assert_eq!(ask(0x0303, Some("notabank.example")), Ok(TlsAnswer::Bump));
    assert_eq!(ask(0x0303, None), Ok(TlsAnswer::Bump));
}

#[test]
fn knocking() {
    let (mut world, settings) = (World::new(), example(10));
    let knock =
        |world: &World, port: u16| begins(&settings, from(world, "10.1.0.1", &format!("10.0.0.9:{port}"), None));
    assert_eq!(knock(&world, 22), DENIED);
    assert_eq!((knock(&world, 7001), knock(&world, 22)), (DENIED, DENIED));
    at(&mut world, Duration::from_secs(11));
    assert_eq!((knock(&world, 7002), knock(&world, 22)), (DENIED, DENIED), "too late");
    assert_eq!((knock(&world, 7001), knock(&world, 7002), knock(&world, 22)), (DENIED, DENIED, None));
    at(&mut world, Duration::from_secs(3612));
    assert_eq!(knock(&world, 22), DENIED);
}
