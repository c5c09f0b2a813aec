//! The thread of the handoff socket: it opens the door, and gives each program that comes a task ([`Program`]) and one
//! that writes what the program is told.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{info, warn};

use super::link::{CoreEnd, link};
use super::program::Program;
use super::socket::{Door, SocketFile, Wire, open as open_socket};
use super::switch::{Message, Switch};
use crate::config::Control;
use crate::limits::{PROGRAM_MESSAGES_MAX, PROGRAMS_MAX, REQUESTS_WAITING_MAX};
use crate::requests::{Caller, Group};
use crate::server::Desk;

/// The running thread.
pub(crate) struct Thread {
    stop: oneshot::Sender<()>,
    handle: std::thread::JoinHandle<()>,
}

impl Thread {
    /// Ends it: programs' connections close, and with them the flows' descriptors.
    pub(crate) fn end(self) {
        drop(self.stop);
        if self.handle.join().is_err() {
            warn!("the thread of the handoff socket broke");
        }
    }
}

/// Opens `control.handoff`, if the file names it, and serves it on a thread of its own; gives the core's end of the switch.
pub(crate) fn open(control: &Control, desk: Desk) -> io::Result<Option<(CoreEnd, Thread)>> {
    let Some(path) = &control.handoff else { return Ok(None) };
    // A group that is not there has been reported by the engine.
    let gid = control.group.as_deref().and_then(|name| Group::find(name).ok()).map(|group| group.gid);
    let door = open_socket(path, gid)?;
    let (core, thread) = link();
    let (stop, stopped) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = move || {
        runtime.block_on(async move {
            tokio::select! {
                ended = accept(door, desk, Switch::new(thread)) => {
                    if let Err(error) = ended {
                        warn!("the handoff socket failed: {error}");
                    }
                }
                _ = stopped => {}
            }
        });
    };
    let handle = std::thread::Builder::new().name("limpid-handoff".to_owned()).spawn(serve)?;
    info!(socket = %path.display(), "handoff socket is open");
    Ok(Some((core, Thread { stop, handle })))
}

async fn accept(door: (OwnedFd, SocketFile), desk: Desk, switch: Switch) -> io::Result<()> {
    let door = Door::new(door)?;
    let (commands, wanted) = mpsc::channel(REQUESTS_WAITING_MAX);
    tokio::spawn(switch.run(wanted));
    let places = Arc::new(Semaphore::new(PROGRAMS_MAX));
    let mut id = 0;
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        let (wire, (uid, gid)) = match door.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, perhaps: whoever waits is served when some are free.
                warn!("a program could not be accepted: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        id += 1;
        let (outbox, inbox) = mpsc::channel(PROGRAM_MESSAGES_MAX);
        // One message for each socket, of which there are so many.
        let (closed, gone) = mpsc::unbounded_channel();
        let (desk, commands) = (desk.clone(), commands.clone());
        let program = Program::new(id, Caller::Program { id, uid, gid }, desk, (commands, outbox, closed));
        tokio::spawn(async move {
            let wire = Arc::new(wire);
            let writer = tokio::spawn(write(Arc::clone(&wire), inbox));
            program.serve(&wire, gone).await;
            // What it was to be told, it will not read.
            writer.abort();
            drop(place);
        });
    }
}

async fn write(wire: Arc<Wire>, mut inbox: mpsc::Receiver<Message>) {
    while let Some(Message { bytes, descriptor }) = inbox.recv().await {
        if wire.send(&bytes, descriptor.as_ref().map(AsFd::as_fd)).await.is_err() {
            return;
        }
    }
}
