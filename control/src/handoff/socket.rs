//! Unix sockets that keep messages apart and carry file descriptors: SOCK_SEQPACKET, awaited on the thread's runtime.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, recvmsg, sendmsg, socket_with,
};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};

use crate::limits::PROGRAM_MESSAGE_BYTES;

/// Read and write for owner and group, as the control socket; who may do what, the requests' permission says.
const SOCKET_MODE: u32 = 0o660;
/// Programs that wait for a place.
const BACKLOG: i32 = 64;

/// The file of the listening socket; removed when this is dropped.
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// Listens at `path`, for the members of `gid` as well. What a gateway that died has left there is replaced.
pub(super) fn open(path: &Path, gid: Option<u32>) -> io::Result<(OwnedFd, SocketFile)> {
    let said = |error: io::Error| io::Error::new(error.kind(), format!("handoff socket {}: {error}", path.display()));
    bound(path, gid).map_err(said)
}

fn bound(path: &Path, gid: Option<u32>) -> io::Result<(OwnedFd, SocketFile)> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    clear(path)?;
    let socket = seqpacket(SocketFlags::NONBLOCK)?;
    // Bound beside and moved over, so that nobody can connect before the mode is right.
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    bind(&socket, &SocketAddrUnix::new(&beside)?)?;
    listen(&socket, BACKLOG)?;
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    if let Some(gid) = gid {
        std::os::unix::fs::chown(&beside, None, Some(gid))?;
    }
    std::fs::rename(&beside, path)?;
    let inode = std::fs::metadata(path)?.ino();
    Ok((socket, SocketFile { path: path.to_owned(), inode }))
}

/// The listening socket, on a runtime.
pub(super) struct Door {
    listener: UnixListener,
    _file: SocketFile,
}

impl Door {
    pub(super) fn new((socket, file): (OwnedFd, SocketFile)) -> io::Result<Door> {
        // The runtime's own type: it only ever accepts, and that is the same for every kind of Unix socket.
        Ok(Door { listener: UnixListener::from_std(socket.into())?, _file: file })
    }

    /// The next program.
    pub(super) async fn accept(&self) -> io::Result<(Wire, (u32, u32))> {
        let (stream, _) = self.listener.accept().await?;
        let peer = stream.peer_cred()?;
        Ok((Wire { stream }, (peer.uid(), peer.gid())))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Only if it is still ours: the next gateway may have put its own there.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            // Nothing is lost if it stays: nobody answers there.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn clear(path: &Path) -> io::Result<()> {
    let Ok(file) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "is there and is no socket"));
    }
    match connect(&seqpacket(SocketFlags::empty())?, &SocketAddrUnix::new(path)?) {
        Err(rustix::io::Errno::CONNREFUSED) => std::fs::remove_file(path),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody already answers there")),
    }
}

fn seqpacket(flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags | SocketFlags::CLOEXEC, None)
}

/// A socket at the other end of `path`, for the client.
pub(super) fn dial(path: &Path) -> io::Result<OwnedFd> {
    let socket = seqpacket(SocketFlags::empty())?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// One program's connection.
pub(super) struct Wire {
    stream: UnixStream,
}

impl Wire {
    /// The next message; none when the program has gone.
    pub(super) async fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        // Descriptors that a program sends are closed: none was asked for.
        let (bytes, _) = self.stream.async_io(Interest::READABLE, || receive(self.stream.as_fd())).await?;
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// Sends a message, with a descriptor perhaps.
    pub(super) async fn send(&self, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.stream.async_io(Interest::WRITABLE, || send(self.stream.as_fd(), bytes, descriptor)).await
    }
}

/// A message and the descriptor that came with it; an empty one: the end.
pub(super) fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut bytes = vec![0; PROGRAM_MESSAGE_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptor = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            descriptor = descriptors.last().or(descriptor);
        }
    }
    bytes.truncate(got.bytes);
    Ok((bytes, descriptor))
}

pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
