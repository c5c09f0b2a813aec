//! The other end, for programs in Rust: blocking, one request at a time, events kept until they are asked for.
//!
//! What comes out are `UnixStream`s that carry the flows; everything the standard library does with a stream can be done
//! with them. A program that wants to wait for many things at once uses the descriptor of the client itself, too.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use super::datagram::Datagrams;
use super::socket::{dial, receive, send};
use crate::tproxy::Flags;

/// A connection to the handoff socket. Entries made through it go with it.
pub struct Client {
    socket: OwnedFd,
    requests: u64,
    events: VecDeque<Event>,
}

/// A client of ours.
#[derive(Debug)]
pub struct Accepted {
    /// The listening socket.
    pub socket: u32,
    /// Its number, for [`Client::abort`] and [`Event::Ended`].
    pub flow: u64,
    /// Who connected.
    pub client: SocketAddr,
    /// Whom they addressed.
    pub original: SocketAddr,
    /// The flow.
    pub stream: UnixStream,
}

/// What the gateway says on its own.
#[derive(Debug)]
pub enum Event {
    /// Somebody has connected.
    Accept(Accepted),
    /// A flow is over.
    Ended {
        /// Which.
        flow: u64,
        /// Why, `ECONNRESET` for one; none: both sides had finished.
        errno: Option<String>,
    },
    /// A datagram was not sent, or the network says that it did not arrive.
    Fault {
        /// Of which socket.
        socket: u32,
        /// As whom it was sent.
        source: SocketAddr,
        /// To whom.
        destination: SocketAddr,
        /// Why, `ECONNREFUSED` for one.
        errno: String,
    },
}

/// Why not.
#[derive(Debug)]
pub enum ClientError {
    /// The gateway refused, by the name of an errno and a sentence.
    Refused {
        /// The name.
        errno: String,
        /// The sentence.
        error: String,
    },
    /// The connection to the gateway failed.
    Io(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Refused { errno, error } => write!(f, "{errno}: {error}"),
            ClientError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> ClientError {
        ClientError::Io(error)
    }
}

/// What a request gives.
type Done<T> = Result<T, ClientError>;

impl Client {
    /// Connects to `control.handoff`.
    ///
    /// # Errors
    /// Nobody answers there, or not us.
    pub fn connect_to(path: &Path) -> io::Result<Client> {
        Ok(Client { socket: dial(path)?, requests: 0, events: VecDeque::new() })
    }

    /// A TCP socket at an address of the gateway; port 0: one that is free. Gives its number and address.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EINVAL`, `EMFILE`.
    pub fn bind(&mut self, local: SocketAddr) -> Done<(u32, SocketAddr)> {
        let (done, _) = self.ask(json!({ "op": "bind", "protocol": "tcp", "local": local }))?;
        let socket = done["socket"].as_u64().and_then(|number| u32::try_from(number).ok()).ok_or_else(garbled)?;
        Ok((socket, address(&done["local"])?))
    }

    /// A UDP socket at an address of the gateway, with the descriptor of its datagrams. What is led to it comes after
    /// [`Client::listen`]; it may speak to who does not answer it after [`Client::connect_datagrams`].
    ///
    /// # Errors
    /// `EADDRINUSE`, `EINVAL`, `EMFILE`.
    pub fn bind_datagrams(&mut self, local: SocketAddr) -> Done<(u32, SocketAddr, Datagrams)> {
        let (done, descriptor) = self.ask(json!({ "op": "bind", "protocol": "udp", "local": local }))?;
        let socket = done["socket"].as_u64().and_then(|number| u32::try_from(number).ok()).ok_or_else(garbled)?;
        Ok((socket, address(&done["local"])?, Datagrams::new(descriptor.ok_or_else(garbled)?)))
    }

    /// Datagrams may leave from the socket's foreign address, and go to `remote` unless they say whom to; `once`: to the
    /// first one only. Gives that address; its port is 0 if each peer is to see one of its own.
    ///
    /// # Errors
    /// As those of ASSIGN and FLAGS.
    pub fn connect_datagrams(&mut self, socket: u32, remote: SocketAddr, once: bool) -> Done<SocketAddr> {
        let (done, _) = self.ask(json!({ "op": "connect", "socket": socket, "remote": remote, "once": once }))?;
        address(&done["local"])
    }

    /// ASSIGN.
    ///
    /// # Errors
    /// As the request's.
    pub fn assign(&mut self, socket: u32, foreign: SocketAddr) -> Done<()> {
        self.ask(json!({ "op": "assign", "socket": socket, "foreign": foreign })).map(drop)
    }

    /// UNASSIGN.
    ///
    /// # Errors
    /// As the request's.
    pub fn unassign(&mut self, socket: u32) -> Done<()> {
        self.ask(json!({ "op": "unassign", "socket": socket })).map(drop)
    }

    /// ALLOC: the foreign address with its port.
    ///
    /// # Errors
    /// As the request's.
    pub fn alloc(&mut self, socket: u32) -> Done<SocketAddr> {
        let (done, _) = self.ask(json!({ "op": "alloc", "socket": socket }))?;
        address(&done["foreign"])
    }

    /// QUERY.
    ///
    /// # Errors
    /// As the request's.
    pub fn query(&mut self, socket: u32) -> Done<SocketAddr> {
        let (done, _) = self.ask(json!({ "op": "query", "socket": socket }))?;
        address(&done["foreign"])
    }

    /// FLAGS.
    ///
    /// # Errors
    /// As the request's.
    pub fn set_flags(&mut self, socket: u32, flags: Flags) -> Done<()> {
        self.ask(json!({ "op": "flags", "socket": socket, "set": flags })).map(drop)
    }

    /// Names the only peer the entry is for.
    ///
    /// # Errors
    /// As the request's.
    pub fn remote(&mut self, socket: u32, remote: SocketAddr) -> Done<()> {
        self.ask(json!({ "op": "remote", "socket": socket, "remote": remote })).map(drop)
    }

    /// From now on [`Client::accept`] gets connections; `once`: exactly one.
    ///
    /// # Errors
    /// As those of ASSIGN and FLAGS.
    pub fn listen(&mut self, socket: u32, once: bool) -> Done<()> {
        self.ask(json!({ "op": "listen", "socket": socket, "once": once })).map(drop)
    }

    /// Connects from the socket's foreign address: number, source as the server sees it, and the flow.
    ///
    /// # Errors
    /// `ECONNREFUSED`, `ETIMEDOUT`, `EHOSTUNREACH`, `EACCES`, ...
    pub fn connect(&mut self, socket: u32, remote: SocketAddr, once: bool) -> Done<(u64, SocketAddr, UnixStream)> {
        let asked = json!({ "op": "connect", "socket": socket, "remote": remote, "once": once });
        let (done, descriptor) = self.ask(asked)?;
        let (flow, source) = (done["flow"].as_u64().ok_or_else(garbled)?, address(&done["local"])?);
        Ok((flow, source, descriptor.ok_or_else(garbled)?.into()))
    }

    /// Ends a flow by a reset.
    ///
    /// # Errors
    /// `ENOENT`: it is over already.
    pub fn abort(&mut self, flow: u64) -> Done<()> {
        self.ask(json!({ "op": "abort", "flow": flow })).map(drop)
    }

    /// Closes a socket; its flows go on.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn close(&mut self, socket: u32) -> Done<()> {
        self.ask(json!({ "op": "close", "socket": socket })).map(drop)
    }

    /// The next event; waits for it.
    ///
    /// # Errors
    /// The gateway has gone.
    pub fn event(&mut self) -> Done<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let (message, descriptor) = self.message()?;
            self.events.extend(event(&message, descriptor)?);
        }
    }

    /// The next connection; events of other kinds stay for [`Client::event`].
    ///
    /// # Errors
    /// The gateway has gone.
    pub fn accept(&mut self) -> Done<Accepted> {
        loop {
            let at = self.events.iter().position(|event| matches!(event, Event::Accept(_)));
            if let Some(Event::Accept(accepted)) = at.and_then(|at| self.events.remove(at)) {
                return Ok(accepted);
            }
            let (message, descriptor) = self.message()?;
            self.events.extend(event(&message, descriptor)?);
        }
    }

    fn ask(&mut self, mut request: Value) -> Done<(Value, Option<OwnedFd>)> {
        self.requests += 1;
        request["id"] = self.requests.into();
        send(self.socket.as_fd(), request.to_string().as_bytes(), None)?;
        loop {
            let (mut message, descriptor) = self.message()?;
            if message["id"] != self.requests {
                self.events.extend(event(&message, descriptor)?);
                continue;
            }
            if let Some(ok) = message.get_mut("ok") {
                return Ok((ok.take(), descriptor));
            }
            let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
            return Err(ClientError::Refused { errno: text("errno"), error: text("error") });
        }
    }

    fn message(&mut self) -> Done<(Value, Option<OwnedFd>)> {
        let (bytes, descriptor) = receive(self.socket.as_fd())?;
        if bytes.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok((serde_json::from_slice(&bytes).map_err(io::Error::other)?, descriptor))
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Events of later versions are passed over.
fn event(message: &Value, descriptor: Option<OwnedFd>) -> Done<Option<Event>> {
    match message["event"].as_str() {
        Some("accept") => Ok(Some(Event::Accept(Accepted {
            socket: message["socket"].as_u64().and_then(|number| u32::try_from(number).ok()).ok_or_else(garbled)?,
            flow: message["flow"].as_u64().ok_or_else(garbled)?,
            client: address(&message["client"])?,
            original: address(&message["original"])?,
            stream: descriptor.ok_or_else(garbled)?.into(),
        }))),
        Some("ended") => Ok(Some(Event::Ended {
            flow: message["flow"].as_u64().ok_or_else(garbled)?,
            errno: message["errno"].as_str().map(str::to_owned),
        })),
        Some("fault") => Ok(Some(Event::Fault {
            socket: message["socket"].as_u64().and_then(|number| u32::try_from(number).ok()).ok_or_else(garbled)?,
            source: address(&message["source"])?,
            destination: address(&message["destination"])?,
            errno: message["errno"].as_str().ok_or_else(garbled)?.to_owned(),
        })),
        _ => Ok(None),
    }
}

fn address(value: &Value) -> Done<SocketAddr> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(garbled)
}

fn garbled() -> ClientError {
    io::Error::new(io::ErrorKind::InvalidData, "the gateway's answer cannot be read").into()
}
