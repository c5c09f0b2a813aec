//! The sockets: where they are, who may open them, and how many may be open at a time.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use crate::limits::{CONNECTION_IDLE_MS, CONNECTIONS_MAX};
use crate::requests::Caller;

/// Read and write for owner and group: the group is who may look; changing things wants more (see `Caller`).
const SOCKET_MODE: u32 = 0o660;

/// The control socket's file; removed when this is dropped.
pub(crate) struct ControlSocket {
    path: PathBuf,
    inode: u64,
}

impl ControlSocket {
    /// Listens at `path`. What a gateway that died has left there is replaced; one that answers is not.
    pub(crate) fn bind(path: &Path) -> io::Result<(ControlSocket, UnixListener)> {
        let said = |what: &str, error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| said(&format!("folder {}", folder.display()), error))?;
        }
        refuse_if_alive(path)?;
        // Bound beside, given its mode, then moved over: at no time can somebody connect who may not, and at no time
        // is there no socket.
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        let listener =
            UnixListener::bind(&beside).map_err(|error| said(&format!("control socket {}", path.display()), error))?;
        let placed = std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(SOCKET_MODE))
            .and_then(|()| std::fs::rename(&beside, path))
            .and_then(|()| std::fs::metadata(path));
        match placed {
            Ok(file) => Ok((ControlSocket { path: path.to_owned(), inode: file.ino() }, listener)),
            Err(error) => {
                // Best effort: the error below is the one to report.
                let _ = std::fs::remove_file(&beside);
                Err(said(&format!("control socket {}", path.display()), error))
            }
        }
    }
}

fn refuse_if_alive(path: &Path) -> io::Result<()> {
    let Ok(file) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !file.file_type().is_socket() {
        let what = format!("{} is there and is no socket", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => {
            let what = format!("a gateway already answers at {}", path.display());
            Err(io::Error::new(io::ErrorKind::AddrInUse, what))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Only if it is still ours: the next gateway may have put its own there.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            // Nothing is lost if it stays: nobody answers there, so the next gateway takes it over.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A listener that accepts no more connections than there is room for.
pub(crate) struct Bounded<L> {
    listener: L,
    room: Arc<Semaphore>,
}

impl<L> Bounded<L> {
    pub(crate) fn new(listener: L) -> Bounded<L> {
        Bounded { listener, room: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Connection<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let permit = Arc::clone(&self.room).acquire_owned().await.expect("the semaphore is never closed");
        let (stream, address) = self.listener.accept().await;
        (Connection { stream, idle: Box::pin(sleep(IDLE)), _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

const IDLE: Duration = Duration::from_millis(CONNECTION_IDLE_MS);

/// A connection that gives its place back when nothing has moved for a while.
pub(crate) struct Connection<S> {
    stream: S,
    idle: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl<S> Connection<S> {
    /// An operation on the stream, for as long as the patience lasts.
    fn patient<T>(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnOnce(&mut S, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = operation(&mut self.stream, cx) {
            self.idle.as_mut().reset(Instant::now() + IDLE);
            return Poll::Ready(done);
        }
        ready!(self.idle.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().patient(cx, |stream, cx| Pin::new(stream).poll_read(cx, buffer))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().patient(cx, |stream, cx| Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().patient(cx, |stream, cx| Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().patient(cx, |stream, cx| Pin::new(stream).poll_shutdown(cx))
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) Caller);

impl Connected<IncomingStream<'_, Bounded<UnixListener>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded<UnixListener>>) -> Peer {
        match stream.io().stream.peer_cred() {
            Ok(peer) => Peer(Caller::Peer { uid: peer.uid(), gid: peer.gid() }),
            // Whom the kernel does not vouch for may look and change nothing.
            Err(_) => Peer(Caller::Network),
        }
    }
}

impl Connected<IncomingStream<'_, Bounded<TcpListener>>> for Peer {
    fn connect_info(_: IncomingStream<'_, Bounded<TcpListener>>) -> Peer {
        Peer(Caller::Network)
    }
}
