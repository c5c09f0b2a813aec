//! One flow between a core and a program's descriptor: two tasks, one for each direction.
//!
//! The reader takes what the program writes, as long as the core has room for pieces; the writer gives the program what
//! the core has received, and tells the core of each piece that the program's socket took. So a program that does not
//! read closes TCP's window, and a peer that does not read blocks the program's `write`, each by itself.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::Sender;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::link::ToFlow;
use crate::limits::{FLOW_PIECE_BYTES, FLOW_PIECES};

/// What the core has for the program.
#[derive(Debug)]
enum Piece {
    Data(Bytes),
    Finished,
}

/// What a flow takes of the bounds: given back when its descriptor is closed, which is after its end if the program still
/// has something to read.
pub(super) type Place = [OwnedSemaphorePermit; 2];

/// A flow's tasks; dropped, they end and the program reads the end of the stream.
pub(super) struct Flow {
    pieces: UnboundedSender<Piece>,
    room: Arc<Semaphore>,
    reader: JoinHandle<()>,
}

impl Flow {
    /// A new one, and the program's end of it.
    pub(super) fn start(flow: u64, to_core: &Sender<ToFlow>, place: Place) -> std::io::Result<(Flow, OwnedFd)> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let (read, write) = UnixStream::from_std(ours)?.into_split();
        let (pieces, queued) = unbounded_channel();
        let room = Arc::new(Semaphore::new(FLOW_PIECES as usize));
        let reader = tokio::spawn(from_program(flow, read, Arc::clone(&room), to_core.clone()));
        tokio::spawn(to_program(flow, write, queued, to_core.clone(), place));
        Ok((Flow { pieces, room, reader }, theirs.into()))
    }

    /// Bytes of the peer.
    pub(super) fn data(&self, bytes: Bytes) {
        // A writer that has ended has told the core so.
        let _ = self.pieces.send(Piece::Data(bytes));
    }

    /// The peer has finished.
    pub(super) fn finished(&self) {
        let _ = self.pieces.send(Piece::Finished);
    }

    /// The core has taken so many pieces.
    pub(super) fn credit(&self, pieces: u32) {
        self.room.add_permits(pieces as usize);
    }
}

impl Drop for Flow {
    /// What is queued for the program is still written by the writer, which ends with its queue; nothing more is read.
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn from_program(flow: u64, mut read: OwnedReadHalf, room: Arc<Semaphore>, to_core: Sender<ToFlow>) {
    loop {
        let Ok(permit) = room.acquire().await else { return };
        let mut bytes = Vec::with_capacity(FLOW_PIECE_BYTES);
        let said = match read.read_buf(&mut bytes).await {
            Ok(0) => ToFlow::Finish { flow },
            Ok(_) => ToFlow::Data { flow, bytes: Bytes::from(bytes) },
            // The program closed its end while there was something in it that it had not read: what a TCP would make of
            // that is a reset (RFC 2525 2.17).
            Err(_) => ToFlow::Abort { flow },
        };
        let goes_on = matches!(said, ToFlow::Data { .. });
        permit.forget();
        // A core that is gone wants nothing more.
        if to_core.send(said).is_err() || !goes_on {
            return;
        }
    }
}

async fn to_program(
    flow: u64,
    mut write: OwnedWriteHalf,
    mut queued: UnboundedReceiver<Piece>,
    to_core: Sender<ToFlow>,
    _place: Place,
) {
    while let Some(piece) = queued.recv().await {
        let Piece::Data(bytes) = piece else {
            // Whoever has closed already does not mind.
            let _ = write.shutdown().await;
            continue;
        };
        let said = match write.write_all(&bytes).await {
            Ok(()) => ToFlow::Credit { flow, pieces: 1 },
            Err(_) => ToFlow::Abort { flow },
        };
        let goes_on = matches!(said, ToFlow::Credit { .. });
        if to_core.send(said).is_err() || !goes_on {
            return;
        }
    }
}
