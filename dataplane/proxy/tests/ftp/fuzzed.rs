//! FTP: every parser by itself, then a session whose client and server say what a fuzzer wants, in its pieces.
//!
//! Nothing may panic or go on for ever; what reaches either end has to be whole lines. `tests/fuzz/targets/ftp.rs` runs it too.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proxy::ftp::address::{parse_227, parse_229, parse_eprt, parse_port};
use proxy::ftp::command::Command;
use proxy::ftp::line::LineReader;
use proxy::ftp::reply::ReplyReader;
use proxy::ftp::settings::NamedServer;
use proxy::ftp::{Settings, run, syntax};
use proxy::memory::{ConnectAnswer, MemoryStream, World, duplex};
use proxy::{Host, Session, SessionId, SessionInfo, Stream};

/// One input.
pub(crate) fn run_one(data: &[u8]) {
    parsers(data);
    session(data);
}

fn parsers(data: &[u8]) {
    let _ = (parse_port(data), parse_eprt(data), parse_227(data), parse_229(data));
    let _ = NamedServer::default().read(data);
    let settings = Settings::default();
    if let Ok(mut command) = Command::parse(data)
        && let Some(known) = command.known()
    {
        let _ = syntax::check(known, &mut command, &settings);
        assert!(!command.line().contains(&b'\n'));
    }
    let mut replies = ReplyReader::new(10);
    for line in lines(data).0 {
        if let Ok(Some(reply)) = replies.take(line) {
            let (written, is_whole) = lines(&reply.encoded());
            assert!(is_whole && written.len() == reply.lines().len());
        }
    }
}

/// The lines, and whether there was nothing else.
fn lines(mut data: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut reader = LineReader::new(100_000);
    let mut lines = Vec::new();
    while !data.is_empty() {
        let Ok((taken, line)) = reader.take(data) else { return (lines, false) };
        lines.extend(line);
        data = &data[taken..];
    }
    (lines, !reader.has_begun())
}

/// A byte says who speaks and how much, the bytes behind it are what is said.
fn session(data: &[u8]) {
    let mut world = World::new();
    let (client, client_leg) = duplex(1 << 16);
    let (server_leg, server) = duplex(1 << 16);
    world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(server_leg)));
    for _ in 0..4 {
        let (ours, theirs) = duplex(1 << 12);
        world.host().answer_related(ConnectAnswer::After(Duration::from_millis(1), Ok(ours)));
        let host = world.host();
        let _ = world.spawn(async move {
            host.sleep(Duration::from_secs(5)).await;
            drop(theirs);
        });
    }
    let info = SessionInfo {
        client: "192.168.1.5:41000".parse().expect("an address"),
        original_destination: "10.0.0.9:21".parse().expect("an address"),
        service: "files".into(),
        client_zone: None,
        server_zone: None,
        interface: "intra".into(),
        idle: Duration::from_secs(600),
        total: Some(Duration::from_secs(3600)),
    };
    let session = Session { id: SessionId(1), host: world.host(), client: client_leg, info };
    let ended = world.spawn(async move { run(session, Arc::new(Settings::default())).await });
    let (mut said, mut rest) = ([Vec::new(), Vec::new()], data);
    let mut at = Duration::ZERO;
    while let Some((first, behind)) = rest.split_first() {
        let length = usize::from(first >> 1).min(behind.len());
        let (piece, behind) = behind.split_at(length);
        said[usize::from(first & 1)].push((at, piece.to_vec()));
        at += Duration::from_millis(10);
        rest = behind;
    }
    let [from_client, from_server] = said;
    let heard = [speak(&mut world, client, from_client), speak(&mut world, server, from_server)];
    world.run();
    assert!(ended.take().is_some(), "the session goes on for ever");
    for heard in heard {
        let heard = heard.take().expect("its stream has ended");
        assert!(lines(&heard).1, "{}", heard.escape_ascii());
    }
}

/// Says those pieces at their times, then no more; all that it hears.
fn speak(
    world: &mut World,
    mut stream: MemoryStream,
    pieces: Vec<(Duration, Vec<u8>)>,
) -> proxy::memory::Task<Vec<u8>> {
    let host = world.host();
    world.spawn(async move {
        for (at, piece) in pieces {
            host.sleep(at.saturating_sub(host.now())).await;
            if stream.send(Bytes::from(piece)).await.is_err() {
                break;
            }
        }
        stream.shutdown();
        let mut heard = Vec::new();
        while let Ok(Some(chunk)) = stream.read().await {
            heard.extend_from_slice(&chunk);
        }
        heard
    })
}
