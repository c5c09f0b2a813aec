//! A program's socket of datagrams between a core and the program's descriptor: two tasks, one for each direction.
//!
//! Each direction has room for so much ([`SOCKET_ROOM`]). The reader takes what the program sends as long as the core has
//! room, then the program's `write` blocks; the writer gives the program what came, and tells the core of each datagram
//! that the program's socket took. What the core has no room for, the core drops and counts: a datagram waits for nobody.

use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::Sender;
use serde_json::json;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::datagram::{Header, pair, read, write};
use super::flow::Place;
use super::link::{ToFlow, ToSocket, cost};
use super::switch::Message;
use crate::limits::SOCKET_ROOM;

/// Longest packet of a program: what an IP packet could say, and one more by which a longer one shows.
const PACKET_BYTES: usize = Header::BYTES + u16::MAX as usize + 1;

/// Of which program it is, and what it is told by.
pub(super) struct Owner {
    /// Its number among the program's sockets.
    pub(super) number: u32,
    pub(super) outbox: mpsc::Sender<Message>,
    /// Where it is said that the program has closed the descriptor.
    pub(super) closed: UnboundedSender<u32>,
}

/// A socket's tasks; dropped, they end and the program reads the end.
pub(super) struct Queue {
    socket: u64,
    owner: Owner,
    to_core: Sender<ToFlow>,
    datagrams: UnboundedSender<(Header, Bytes)>,
    room: Arc<Semaphore>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
    _place: Place,
}

impl Queue {
    /// A new one, and the program's end of it.
    pub(super) fn start(
        socket: u64,
        owner: Owner,
        local: SocketAddr,
        to_core: &Sender<ToFlow>,
        place: Place,
    ) -> std::io::Result<(Queue, OwnedFd)> {
        let (ours, theirs) = pair()?;
        // The runtime's own type: awaiting is the same for every kind of Unix socket.
        let stream = Arc::new(UnixStream::from_std(StdStream::from(ours))?);
        let (datagrams, queued) = unbounded_channel();
        let room = Arc::new(Semaphore::new(SOCKET_ROOM as usize));
        // The core is to know of the socket before anything is said of it.
        let _ = to_core.send(ToFlow::Socket { socket, message: ToSocket::Open { local } });
        let speaker = Speaker { socket, local, room: Arc::clone(&room), to_core: to_core.clone() };
        let reader =
            tokio::spawn(speaker.run(Arc::clone(&stream), owner.number, owner.outbox.clone(), owner.closed.clone()));
        let writer = tokio::spawn(to_program(socket, stream, queued, to_core.clone()));
        let to_core = to_core.clone();
        Ok((Queue { socket, owner, to_core, datagrams, room, reader, writer, _place: place }, theirs))
    }

    pub(super) fn tell(&self, message: ToSocket) {
        // A core that is gone wants nothing more.
        let _ = self.to_core.send(ToFlow::Socket { socket: self.socket, message });
    }

    /// A datagram for the program.
    pub(super) fn datagram(&self, header: Header, bytes: Bytes) {
        // A writer that has ended has said that the socket is closed.
        let _ = self.datagrams.send((header, bytes));
    }

    /// What became of one of its own. A program that does not read what it is told is not told.
    pub(super) fn fault(&self, source: SocketAddr, destination: SocketAddr, errno: &str) {
        let _ = self.owner.outbox.try_send(fault(self.owner.number, source, destination, errno));
        self.tell(ToSocket::Taken(cost(0)));
    }

    /// The core has taken so much.
    pub(super) fn taken(&self, room: u32) {
        self.room.add_permits(room as usize);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
        self.tell(ToSocket::Close);
    }
}

fn fault(socket: u32, source: SocketAddr, destination: SocketAddr, errno: &str) -> Message {
    let event = json!({
        "event": "fault", "socket": socket, "source": source, "destination": destination, "errno": errno,
    });
    Message { bytes: event.to_string().into_bytes(), descriptor: None }
}

/// Takes what the program sends.
struct Speaker {
    socket: u64,
    local: SocketAddr,
    room: Arc<Semaphore>,
    to_core: Sender<ToFlow>,
}

impl Speaker {
    async fn run(
        self,
        stream: Arc<UnixStream>,
        number: u32,
        outbox: mpsc::Sender<Message>,
        closed: UnboundedSender<u32>,
    ) {
        let mut buffer = vec![0; PACKET_BYTES];
        loop {
            let received =
                stream.async_io(Interest::READABLE, || read(stream.as_fd(), &mut [IoSliceMut::new(&mut buffer)]));
            let length = match received.await {
                Ok(0) | Err(_) => break,
                Ok(length) => length,
            };
            match self.datagram(&buffer[..length]) {
                Ok((Header { source, destination }, bytes)) => {
                    let Ok(room) = self.room.acquire_many(cost(bytes.len())).await else { return };
                    room.forget();
                    let message = ToSocket::Datagram { source, destination, bytes };
                    // A core that is gone wants nothing more.
                    if self.to_core.send(ToFlow::Socket { socket: self.socket, message }).is_err() {
                        break;
                    }
                }
                Err((header, errno)) => {
                    let Header { source, destination } = header;
                    // A program that does not read what it is told is not told.
                    let _ = outbox.try_send(fault(number, source, destination, errno));
                }
            }
        }
        // A program that has gone altogether does not mind.
        let _ = closed.send(number);
    }

    fn datagram(&self, packet: &[u8]) -> Result<(Header, Bytes), (Header, &'static str)> {
        let nobody = Header { source: self.local, destination: self.local };
        let header = Header::read(packet).ok_or((nobody, "EINVAL"))?;
        if header.source.is_ipv4() != self.local.is_ipv4() {
            return Err((header, "EAFNOSUPPORT"));
        }
        if packet.len() == PACKET_BYTES {
            return Err((header, "EMSGSIZE"));
        }
        Ok((header, Bytes::copy_from_slice(&packet[Header::BYTES..])))
    }
}

async fn to_program(
    socket: u64,
    stream: Arc<UnixStream>,
    mut queued: UnboundedReceiver<(Header, Bytes)>,
    to_core: Sender<ToFlow>,
) {
    while let Some((header, bytes)) = queued.recv().await {
        // A program that has closed its end is noticed by the reader; what it did not take is taken all the same.
        let _ = stream.async_io(Interest::WRITABLE, || write(stream.as_fd(), &header, &bytes)).await;
        let message = ToSocket::Taken(cost(bytes.len()));
        if to_core.send(ToFlow::Socket { socket, message }).is_err() {
            return;
        }
    }
}
