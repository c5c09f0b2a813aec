//! Where the data of the next transfer goes: PORT, EPRT, PASV, EPSV of the client, and what the server is asked for it.
//!
//! The server's side comes first, so that a client is told of nothing that is not there. What must hold: a client names
//! itself and nobody else, a server names itself and nobody else (RFC 2577: the bounce attack), and neither a port below
//! 1024; where we wait, only the peer of the control connection finds somebody.

use std::net::{IpAddr, SocketAddr};

use super::address::{self, EprtError};
use super::channel::Endpoint;
use super::command::Command;
use super::event::Event;
use super::known::Known;
use super::limits::PEER_PORT_MIN;
use super::reply::Reply;
use super::settings::{ActivePort, DataMode};
use super::syntax::Refusal;
use super::talk::{Over, Talk};
use crate::host::{ConnectError, Expected, Host, Level, Listener, Related};
use crate::outcome::Side;

/// See the module.
pub(super) struct Prepared<H: Host> {
    pub(super) client: Endpoint<H>,
    pub(super) server: Endpoint<H>,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    /// Where it waits; `None`: it connects.
    at: Option<SocketAddr>,
    /// In the words of RFC 2428.
    extended: bool,
}

impl<H: Host> Talk<H> {
    /// One of the four commands.
    pub(super) async fn prepare(&mut self, known: Known, command: &Command) -> Result<(), Over> {
        self.data = None;
        if self.epsv_all && known != Known::Epsv {
            return self.answer(500, "Only EPSV is possible after EPSV ALL").await;
        }
        if known == Known::Epsv && command.argument().eq_ignore_ascii_case(b"ALL") {
            self.epsv_all = true;
            return self.answer(200, "EPSV ALL ok").await;
        }
        let wish = match self.wish(known, command.argument()) {
            Ok(wish) => wish,
            Err(Refusal { code, text }) => {
                self.log(Level::Warning, format_args!("{text}: {command}"));
                return self.answer(code, text).await;
            }
        };
        let server = match self.server_end(wish).await? {
            Ok(server) => server,
            Err(reply) => return self.say(&reply).await,
        };
        let (client, reply) = match self.client_end(known, wish).await {
            Ok(ready) => ready,
            Err(error) => return self.say(&self.no_listener(error)).await,
        };
        self.data = Some(Prepared { client, server });
        self.say(&reply).await
    }

    /// Reads and checks what the client asks for.
    fn wish(&self, known: Known, argument: &[u8]) -> Result<Wish, Refusal> {
        let no = |code, text| Refusal { code, text };
        let client = self.info.client.ip();
        let family = if client.is_ipv4() { "1" } else { "2" };
        let other_family = || match client {
            IpAddr::V4(_) => no(522, "Network protocol not supported, use (1)"),
            IpAddr::V6(_) => no(522, "Network protocol not supported, use (2)"),
        };
        let at = match known {
            Known::Pasv if client.is_ipv6() => return Err(other_family()),
            Known::Pasv => None,
            Known::Epsv => match argument {
                b"" => None,
                protocol if protocol == family.as_bytes() => None,
                b"1" | b"2" => return Err(other_family()),
                _ => return Err(no(501, "EPSV takes 1, 2 or ALL")),
            },
            Known::Port => Some(address::parse_port(argument).ok_or(no(501, "PORT takes six numbers"))?),
            _ => Some(address::parse_eprt(argument).map_err(|error| match error {
                EprtError::Syntax => no(501, "EPRT takes |protocol|address|port|"),
                EprtError::Protocol => other_family(),
            })?),
        };
        if let Some(at) = at {
            if known == Known::Eprt && at.is_ipv4() != client.is_ipv4() {
                return Err(other_family());
            }
            let is_own = at.ip() == client || self.settings.data.client_bounce;
            if !is_own || at.port() < PEER_PORT_MIN {
                self.host.count(Event::BounceClient.into());
                return Err(no(500, "Data goes to your own address, and no port below 1024"));
            }
        }
        Ok(Wish { at, extended: matches!(known, Known::Eprt | Known::Epsv) })
    }

    /// Asks the server; the inner error is what the client is told.
    async fn server_end(&mut self, wish: Wish) -> Result<Result<Endpoint<H>, Reply>, Over> {
        let extended = wish.extended || self.ends.peer.is_ipv6();
        let active = match self.settings.data.mode {
            DataMode::Keep => wish.at.is_some(),
            DataMode::Passive => false,
            DataMode::Active => true,
        };
        if active { self.active_server(extended).await } else { self.passive_server(extended).await }
    }

    /// The server is to connect to us.
    async fn active_server(&mut self, extended: bool) -> Result<Result<Endpoint<H>, Reply>, Over> {
        let expected = Expected {
            side: Side::Server,
            local: self.ends.local.ip(),
            ports: self.settings.data.ports.clone(),
            peer: self.ends.peer.ip(),
            peer_port: None,
        };
        let listener = match self.host.listen(self.id, expected).await {
            Ok(listener) => listener,
            Err(error) => return Ok(Err(self.no_listener(error))),
        };
        let at = self.announced(listener.address(), self.settings.data.announce_to_server);
        let command = match at.ip() {
            IpAddr::V4(ip) if !extended => Command::of(Known::Port, address::port(ip, at.port())),
            _ => Command::of(Known::Eprt, address::eprt(at)),
        };
        let reply = self.ask(&command).await?;
        Ok(if reply.is_done() { Ok(Endpoint::Listen(listener)) } else { Err(reply) })
    }

    /// We connect to the server.
    async fn passive_server(&mut self, extended: bool) -> Result<Result<Endpoint<H>, Reply>, Over> {
        let command = Command::of(if extended { Known::Epsv } else { Known::Pasv }, "");
        let reply = self.ask(&command).await?;
        if !reply.is_done() {
            return Ok(Err(reply));
        }
        let text = reply.lines().last().map_or(&[][..], |line| &line[..]);
        let server = self.ends.peer.ip();
        let at = match reply.code() {
            229 if extended => address::parse_229(text).map(|port| SocketAddr::new(server, port)),
            227 if !extended => address::parse_227(text),
            _ => None,
        };
        let Some(at) = at else {
            self.log(Level::Warning, format_args!("the server's answer names no port: {reply:?}"));
            return Ok(Err(Reply::new(500, "The server's answer names no port")));
        };
        let is_own = at.ip() == server || self.settings.data.server_bounce;
        if !is_own || at.port() < PEER_PORT_MIN {
            self.host.count(Event::BounceServer.into());
            self.log(Level::Warning, format_args!("the server names another host, or a port below 1024: {at}"));
            return Ok(Err(Reply::new(500, "The server names another host, or a port below 1024")));
        }
        Ok(Ok(Endpoint::Connect(Related {
            side: Side::Server,
            local: Some(self.ends.local.ip()),
            ports: 0..=0,
            remote: at,
        })))
    }

    /// The client's side, and what it is told.
    async fn client_end(&self, known: Known, wish: Wish) -> Result<(Endpoint<H>, Reply), ConnectError> {
        let data = &self.settings.data;
        let server = self.info.original_destination;
        if let Some(at) = wish.at {
            let port = match data.active_port {
                ActivePort::MinusOne => server.port().saturating_sub(1),
                ActivePort::Twenty => 20,
                ActivePort::Random => 0,
            };
            let related = Related { side: Side::Client, local: Some(server.ip()), ports: port..=port, remote: at };
            let reply = Reply::new(200, format!("{} command successful", known.name()));
            return Ok((Endpoint::Connect(related), reply));
        }
        let expected = Expected {
            side: Side::Client,
            local: server.ip(),
            ports: data.ports.clone(),
            peer: self.info.client.ip(),
            peer_port: None,
        };
        let listener = self.host.listen(self.id, expected).await?;
        let at = self.announced(listener.address(), data.announce_to_client);
        let reply = match at.ip() {
            IpAddr::V4(ip) if known == Known::Pasv => Reply::new(227, address::text_227(ip, at.port())),
            _ => Reply::new(229, address::text_229(at.port())),
        };
        Ok((Endpoint::Listen(listener), reply))
    }

    /// The address that a peer is told, if another one leads here.
    fn announced(&self, at: SocketAddr, instead: Option<IpAddr>) -> SocketAddr {
        let instead = instead.filter(|instead| instead.is_ipv4() == at.is_ipv4());
        SocketAddr::new(instead.unwrap_or(at.ip()), at.port())
    }

    fn no_listener(&self, error: ConnectError) -> Reply {
        self.host.count(Event::DataSetupFailed.into());
        self.log(Level::Warning, format_args!("no port to wait at for data: {error:?}"));
        Reply::new(425, "The gateway has no port for the data connection")
    }
}
