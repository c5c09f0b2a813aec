//! The two ends of a session as a test plays them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::ftp::{Settings, run};
use crate::host::Host;
use crate::memory::{ConnectAnswer, MemoryHost, MemoryStream, Task, World, duplex};
use crate::outcome::Outcome;
use crate::session::{Session, SessionId, SessionInfo};
use crate::stream::{Stream, StreamError};

pub(super) const CLIENT: &str = "192.168.1.5:41000";
pub(super) const SERVER: &str = "10.0.0.9:21";

pub(super) fn at(text: &str) -> SocketAddr {
    text.parse().expect("it is an address")
}

/// How what is said is cut into chunks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    Whole,
    Bytes,
    At(usize),
}

/// One end of a connection.
pub(super) struct Peer<S = MemoryStream> {
    pub(super) stream: S,
    heard: Vec<u8>,
    cut: Cut,
}

impl<S: Stream<Chunk = Bytes>> Peer<S> {
    pub(super) fn new(stream: S, cut: Cut) -> Peer<S> {
        Peer { stream, heard: Vec::new(), cut }
    }

    /// One or more lines; line ends are added.
    pub(super) async fn says(&mut self, lines: &str) {
        let text: String = lines.lines().map(|line| format!("{line}\r\n")).collect();
        self.sends(text.as_bytes()).await;
    }

    pub(super) async fn sends(&mut self, bytes: &[u8]) {
        let pieces: Vec<&[u8]> = match self.cut {
            Cut::Whole => vec![bytes],
            Cut::Bytes => bytes.chunks(1).collect(),
            Cut::At(at) => {
                let (first, second) = bytes.split_at(at.min(bytes.len()));
                vec![first, second]
            }
        };
        for piece in pieces {
            // A peer that is told to go away while it speaks hears why.
            let _ = self.stream.send(Bytes::copy_from_slice(piece)).await;
        }
    }

    /// The next line; `END` and `RESET` when there is none.
    pub(super) async fn hears(&mut self) -> String {
        loop {
            if let Some(end) = self.heard.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.heard.drain(..end + 2).collect();
                let line = &line[..end];
                return std::str::from_utf8(line).map_or_else(|_| line.escape_ascii().to_string(), str::to_owned);
            }
            match self.stream.read().await {
                Ok(Some(chunk)) => self.heard.extend_from_slice(&chunk),
                Ok(None) => return "END".to_owned(),
                Err(StreamError::Reset) => return "RESET".to_owned(),
                Err(error) => return format!("{error:?}"),
            }
        }
    }

    pub(super) async fn expects(&mut self, lines: &str) {
        for line in lines.lines() {
            assert_eq!(self.hears().await, line);
        }
    }

    /// All that comes up to the end.
    pub(super) async fn rest(&mut self) -> Result<Vec<u8>, StreamError> {
        let mut all = std::mem::take(&mut self.heard);
        while let Some(chunk) = self.stream.read().await? {
            all.extend_from_slice(&chunk);
        }
        self.stream.shutdown();
        Ok(all)
    }

    pub(super) async fn ends(&mut self) {
        assert_eq!(self.hears().await, "END");
        self.stream.shutdown();
    }
}

/// A session that is played.
pub(super) struct Played {
    pub(super) client: Peer,
    pub(super) server: Peer,
    pub(super) host: MemoryHost,
    pub(super) cut: Cut,
}

impl Played {
    /// One command and its reply, passed on as they are.
    pub(super) async fn passes(&mut self, command: &str, reply: &str) {
        self.client.says(command).await;
        self.server.expects(command).await;
        self.server.says(reply).await;
        self.client.expects(reply).await;
    }

    /// Greeting and log-in.
    pub(super) async fn logs_in(&mut self) {
        self.server.says("220 ready").await;
        self.client.expects("220 ready").await;
        self.passes("USER joe", "331 password?").await;
        self.passes("PASS secret", "230 in").await;
    }

    pub(super) async fn quits(&mut self) {
        self.passes("QUIT", "221 bye").await;
        self.client.ends().await;
        self.server.ends().await;
    }

    /// A connection that comes to where the proxy waits.
    pub(super) fn connects(&self, to: &str, from: &str) -> Peer {
        Peer::new(self.host.connect_to(at(to), at(from)).expect("it is waited for"), self.cut)
    }

    /// The next connection that the proxy makes beside the server's comes to this one.
    pub(super) fn accepts(&self) -> Peer {
        let (ours, theirs) = duplex(100_000);
        self.host.answer_related(ConnectAnswer::After(Duration::from_millis(1), Ok(ours)));
        Peer::new(theirs, self.cut)
    }

    pub(super) async fn pause(&self, ms: u64) {
        self.host.sleep(Duration::from_millis(ms)).await;
    }
}

/// Plays one session.
pub(super) fn play<F, P>(settings: Settings, cut: Cut, addresses: (&str, &str), script: F) -> (Outcome, MemoryHost)
where
    F: FnOnce(Played) -> P,
    P: Future<Output = ()> + 'static,
{
    let mut world = World::new();
    let (client, client_leg) = duplex(100_000);
    let (server_leg, server) = duplex(100_000);
    world.host().answer_connect(ConnectAnswer::After(Duration::from_millis(1), Ok(server_leg)));
    let info = SessionInfo {
        client: at(addresses.0),
        original_destination: at(addresses.1),
        service: "files".into(),
        client_zone: Some("intranet".into()),
        server_zone: Some("internet".into()),
        interface: "intra".into(),
        idle: Duration::from_secs(600),
        total: None,
    };
    let session = Session { id: SessionId(7), host: world.host(), client: client_leg, info };
    let outcome: Task<Outcome> = world.spawn(async move { run(session, Arc::new(settings)).await });
    let played = Played { client: Peer::new(client, cut), server: Peer::new(server, cut), host: world.host(), cut };
    let script = world.spawn(script(played));
    world.run();
    assert!(script.take().is_some(), "the script waits for something: {:?}", world.host().lines());
    let outcome = outcome.take().unwrap_or_else(|| panic!("the session goes on: {:?}", world.host().lines()));
    (outcome, world.host())
}

/// Plays a session in all ways of cutting; the last one's outcome.
pub(super) fn play_cut<F, P>(settings: &Settings, script: F) -> (Outcome, MemoryHost)
where
    F: Fn(Played) -> P,
    P: Future<Output = ()> + 'static,
{
    let mut outcomes: Vec<_> = [Cut::Whole, Cut::Bytes]
        .into_iter()
        .chain((1..60).map(Cut::At))
        .map(|cut| play(settings.clone(), cut, (CLIENT, SERVER), &script))
        .collect();
    let last = outcomes.pop().expect("there are some");
    for (outcome, host) in outcomes {
        assert_eq!(outcome, last.0);
        assert_eq!(host.records(), last.1.records());
    }
    last
}
