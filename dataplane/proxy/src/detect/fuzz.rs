//! What the fuzzer of detection does with bytes, and what must hold for all of them; `tests/fuzz` feeds it, and the tests here.
//!
//! Part of the library, as [`crate::memory`] is, because fuzzers live in a workspace of their own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Settings, SniRule, run};
use crate::host::{ConnectError, Host};
use crate::memory::{ConnectAnswer, MemoryStream, World, duplex};
use crate::module::Module;
use crate::outcome::{Outcome, Reason};
use crate::record::Value;
use crate::session::{Session, SessionId, SessionInfo};
use crate::stream::Stream;
use crate::tls::names::Names;

const SECOND: Duration = Duration::from_secs(1);

/// Whatever either side says, in whatever pieces: each hears all that the other said, and the service is the same.
///
/// # Panics
/// When that does not hold.
pub fn pieces(client: &[u8], server: &[u8], piece: usize) {
    // One side at a time: of two that speak at once, who is heard first decides.
    for (client, server) in [(client, &[][..]), (&[][..], server)] {
        let settings = || Settings { default: name("other"), ..all() };
        let whole = session(settings(), 80, &[client], Some(&[server]));
        let split = |bytes| <[u8]>::chunks(bytes, piece.max(1)).collect::<Vec<_>>();
        let pieces = session(settings(), 80, &split(client), Some(&split(server)));
        assert_eq!((&*whole.at_server, &*whole.at_client), (client, server), "nothing is lost");
        assert_eq!((&*pieces.at_server, &*pieces.at_client), (client, server), "nothing is lost in pieces");
        assert_eq!(whole.service, pieces.service);
    }
}

pub(super) fn name(name: &str) -> Option<Arc<str>> {
    Some(name.into())
}

/// All detectors.
pub(super) fn all() -> Settings {
    Settings {
        http: name("http"),
        tls: name("tls"),
        sni: vec![SniRule {
            names: Names::new([".bank.example"]).expect("it is a name"),
            except: Some(Names::new(["ads.bank.example"]).expect("it is a name")),
            service: "bank".into(),
        }],
        ssh: name("ssh"),
        ftp: name("ftp"),
        smtp: name("smtp"),
        pop3: name("pop3"),
        imap: name("imap"),
        default: None,
        timeout: 5 * SECOND,
    }
}

/// What a session came to.
#[derive(Debug, PartialEq)]
pub(super) struct Served {
    pub(super) service: Option<String>,
    pub(super) reason: Reason,
    pub(super) at_server: Vec<u8>,
    pub(super) at_client: Vec<u8>,
    pub(super) took: Duration,
    pub(super) connects: usize,
}

/// A client that says these pieces and a server that says those, each a tick after the one before.
pub(super) fn session(settings: Settings, port: u16, client_says: &[&[u8]], server_says: Option<&[&[u8]]>) -> Served {
    let mut world = World::new();
    for service in ["http", "tls", "bank", "ssh", "ftp", "smtp", "pop3", "imap", "other"] {
        let settings = crate::module::Settings::Plug(Arc::default());
        world.host().add_module(Module { service: service.into(), settings });
    }
    let (client, client_leg) = duplex(1 << 20);
    let (server_leg, server) = duplex(1 << 20);
    match server_says {
        Some(_) => world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(server_leg))),
        None => {
            for _ in 0..2 {
                world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Err(ConnectError::Refused)));
            }
        }
    }
    let info = SessionInfo {
        client: "192.168.1.5:40000".parse().expect("it is an address"),
        original_destination: format!("10.0.0.9:{port}").parse().expect("it is an address"),
        service: "any".into(),
        client_zone: None,
        server_zone: None,
        interface: "intra".into(),
        idle: 60 * SECOND,
        total: None,
    };
    let session = Session { id: SessionId(7), host: world.host(), client: client_leg, info };
    let outcome = world.spawn(async move { run(session, Arc::new(settings)).await });
    let at_client = world.spawn(talk(world.host(), client, owned(client_says)));
    let at_server = world.spawn(talk(world.host(), server, owned(server_says.unwrap_or_default())));
    world.run_until(30 * SECOND);
    let (took, records) = (world.now(), world.host().records());
    let service = records.first().and_then(|record| {
        record.fields.iter().find(|(name, _)| *name == "service").map(|(_, value)| match value {
            Value::Text(text) => text.to_string(),
            other => format!("{other:?}"),
        })
    });
    let outcome: Outcome = outcome.take().expect("it is over");
    let connects = world.host().connected().len();
    let (at_server, at_client) = (at_server.take().unwrap_or_default(), at_client.take().unwrap_or_default());
    Served { service, reason: outcome.reason, at_server, at_client, took, connects }
}

fn owned(pieces: &[&[u8]]) -> Vec<Bytes> {
    pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect()
}

/// Says its pieces, finishes a while later, and hears to the end.
async fn talk(host: impl Host, mut stream: MemoryStream, pieces: Vec<Bytes>) -> Vec<u8> {
    for piece in pieces {
        let _ = stream.send(piece).await;
        host.sleep(Duration::from_micros(1)).await;
    }
    host.sleep(10 * SECOND).await;
    stream.shutdown();
    let mut heard = Vec::new();
    while let Ok(Some(chunk)) = stream.read().await {
        heard.extend_from_slice(&chunk);
    }
    heard
}
