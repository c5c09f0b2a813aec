//! What a connection becomes when HTTP has said its last: another protocol after 101, a tunnel after CONNECT.
//!
//! Bytes are relayed as they are, or handed to the proxy of another service, which sees the tunnel's server as the one
//! that its client addressed.

use std::net::SocketAddr;

use bytes::Bytes;

use super::event::Event;
use super::serving::Serving;
use super::upstream::NoServer;
use crate::host::{ConnectError, Host, Level, Target};
use crate::outcome::{Outcome, Reason};
use crate::relay::{Limits, Relay};
use crate::session::{SessionId, SessionInfo};
use crate::stack::{self, BoxStream, LocalFuture, Stacked, Upstream, boxed};

/// RFC 9110, 9.3.6: "Any 2xx (Successful) response indicates that the sender [...] will switch to tunnel mode".
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

impl<H: Host> Serving<H> {
    /// Relays what both sides say from now on.
    pub(super) async fn relay(self) -> Outcome {
        let outcome = self.outcome(Reason::Finished);
        let end = self.info.total.map(|_| self.end);
        let Serving { host, id, client, upstream, info, .. } = self;
        let Some(server) = upstream.stream else { return outcome };
        let relayed = Relay::new(client, server, Limits { idle: info.idle, end }).letting_go(id).run(&host).await;
        Outcome {
            to_server: outcome.to_server + relayed.to_server,
            to_client: outcome.to_client + relayed.to_client,
            ..relayed
        }
    }

    /// Grants a CONNECT.
    pub(super) async fn tunnel(mut self, target: Target, address: SocketAddr) -> Outcome {
        let service = self.settings.connect.as_ref().and_then(|connect| connect.service.clone());
        let Some(service) = service else {
            let Serving { upstream, host, id, client, .. } = &mut self;
            if let Err(none) = upstream.ready(host, *id, client, target).await {
                return self.no_tunnel(none).await;
            }
            return match self.say(Bytes::from_static(ESTABLISHED)).await {
                Ok(()) => self.relay().await,
                Err(reason) => self.abort(reason).await,
            };
        };
        let Some(module) = self.host.module(self.id, &service) else {
            self.host.log(self.id, Level::Error, format_args!("no service `{service}` for the tunnel"));
            return self.abort(Reason::PolicyDenied).await;
        };
        self.upstream.close();
        if let Err(reason) = self.say(Bytes::from_static(ESTABLISHED)).await {
            return self.abort(reason).await;
        }
        let before = self.outcome(Reason::Finished);
        let info = SessionInfo { original_destination: address, service: service.into(), ..self.info.clone() };
        let Serving { host, client, id, .. } = self;
        // What goes through a tunnel has nothing to do with what is around it.
        let inner = Stacked::new(&host, Through { host: host.clone(), target }).within(None);
        let outcome = stack::run(id, info, inner, boxed(client), module).await;
        Outcome {
            to_server: before.to_server + outcome.to_server,
            to_client: before.to_client + outcome.to_client,
            ..outcome
        }
    }

    /// RFC 9110, 9.3.6: no 2xx where there is no tunnel.
    async fn no_tunnel(mut self, none: NoServer) -> Outcome {
        self.count(Event::NoServer);
        let (status, reason) = match none {
            NoServer::Client(reason) => return self.abort(reason).await,
            NoServer::Connect(ConnectError::TimedOut) => (504, Reason::ConnectTimedOut),
            NoServer::Connect(error) => (502, Reason::from(error)),
        };
        let page = self.settings.pages.render(&super::pages::Page {
            status,
            info: Event::NoServer.sentence(),
            host: "",
            location: None,
            now: self.host.wall_clock(),
            close: true,
            head_only: false,
        });
        match self.say(page).await {
            Ok(()) => self.close(reason).await,
            Err(reason) => self.abort(reason).await,
        }
    }
}

/// The server of a tunnel: that of its CONNECT, for whoever asks for the original one.
struct Through<H> {
    host: H,
    target: Target,
}

impl<H: Host> Upstream for Through<H> {
    fn connect(&self, session: SessionId, target: Target) -> LocalFuture<'_, Result<BoxStream, ConnectError>> {
        let target = if target == Target::Original { self.target } else { target };
        Box::pin(async move { self.host.connect(session, target).await.map(boxed) })
    }
}
