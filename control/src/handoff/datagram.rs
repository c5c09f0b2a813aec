//! A datagram as a program has it: a header that says from whom and to whom, and behind it what it says.
//!
//! It is the counterpart of IP_RECVORIGADDRS, which gave a program both original addresses of each datagram. One packet of
//! a SOCK_SEQPACKET socket is one datagram. The header, in network order:
//!
//! ```text
//!  0       family: 4 or 6        1       0
//!  2..4    source port           4..6    destination port        6..8    0
//!  8..24   source address       24..40   destination address; an IPv4 address in the first four bytes, then zeros
//! ```

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

/// From whom, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// From whom; of a program: port 0 leaves it to the socket's entry.
    pub source: SocketAddr,
    /// To whom; of a program: port 0 is the peer of `connect`.
    pub destination: SocketAddr,
}

impl Header {
    /// Bytes of a header.
    pub const BYTES: usize = 40;

    /// Reads one; none: it is none, or its addresses are of two families.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; Header::BYTES] = bytes.get(..Header::BYTES)?.try_into().ok()?;
        let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let address = |at: usize| -> Option<IpAddr> {
            let whole: [u8; 16] = bytes[at..at + 16].try_into().ok()?;
            match bytes[0] {
                4 => Some(Ipv4Addr::new(whole[0], whole[1], whole[2], whole[3]).into()),
                6 => Some(Ipv6Addr::from(whole).into()),
                _ => None,
            }
        };
        let (source, destination) = (address(8)?, address(24)?);
        Some(Header { source: SocketAddr::new(source, port(2)), destination: SocketAddr::new(destination, port(4)) })
    }

    /// As it is in front of a datagram. Both addresses are of one family.
    pub fn write(&self) -> [u8; Header::BYTES] {
        let mut bytes = [0; Header::BYTES];
        bytes[0] = if self.source.is_ipv4() { 4 } else { 6 };
        bytes[2..4].copy_from_slice(&self.source.port().to_be_bytes());
        bytes[4..6].copy_from_slice(&self.destination.port().to_be_bytes());
        for (at, address) in [(8, self.source.ip()), (24, self.destination.ip())] {
            match address {
                IpAddr::V4(v4) => bytes[at..at + 4].copy_from_slice(&v4.octets()),
                IpAddr::V6(v6) => bytes[at..at + 16].copy_from_slice(&v6.octets()),
            }
        }
        bytes
    }
}

/// A program's socket of datagrams, at the program's end; closing it closes the socket.
#[derive(Debug)]
pub struct Datagrams {
    socket: OwnedFd,
}

impl Datagrams {
    /// What the gateway handed over.
    pub fn new(socket: OwnedFd) -> Datagrams {
        Datagrams { socket }
    }

    /// Waits for a datagram: whose it is, and how long; a longer one than `buffer` is cut. None: the socket was closed by the
    /// gateway.
    ///
    /// # Errors
    /// The descriptor's.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(Header, usize)>> {
        let mut head = [0; Header::BYTES];
        let got = read(self.socket.as_fd(), &mut [IoSliceMut::new(&mut head), IoSliceMut::new(buffer)])?;
        match (got, Header::read(&head)) {
            (0, _) => Ok(None),
            (got, Some(header)) if got >= Header::BYTES => Ok(Some((header, got - Header::BYTES))),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "this is no datagram of the gateway")),
        }
    }

    /// Sends a datagram; waits while the gateway has room for none. What becomes of it is told by an event.
    ///
    /// # Errors
    /// The descriptor's: `EPIPE` when the gateway has closed the socket.
    pub fn send(&self, header: &Header, payload: &[u8]) -> io::Result<()> {
        write(self.socket.as_fd(), header, payload)
    }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Both ends of a socket: ours does not wait.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

/// One packet; 0: the end, or an empty one, which no datagram is.
pub(super) fn read(socket: BorrowedFd<'_>, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let mut control = RecvAncillaryBuffer::default();
    Ok(recvmsg(socket, into, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes)
}

/// One datagram.
pub(super) fn write(socket: BorrowedFd<'_>, header: &Header, payload: &[u8]) -> io::Result<()> {
    let head = header.write();
    let parts = [IoSlice::new(&head), IoSlice::new(payload)];
    sendmsg(socket, &parts, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?;
    Ok(())
}
