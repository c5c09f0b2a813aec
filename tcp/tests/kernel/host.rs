//! The application on the kernel's side: what a script's events are in system calls.
//!
//! Nothing blocks. What the kernel does not take yet is kept and tried again, as our own connection keeps what is
//! written before its handshake is complete.

use std::net::SocketAddrV4;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};

use crate::grammar::PORTS;
use crate::namespace::{HOST, PEER};

/// Of sockets, set before they are used.
#[derive(Clone, Debug, Default)]
pub(crate) struct SocketOptions {
    pub(crate) nagle: bool,
    pub(crate) newreno: bool,
    pub(crate) keepalive: Option<Duration>,
    pub(crate) user_timeout_ms: Option<u32>,
    pub(crate) send_buffer: usize,
}

#[derive(Default)]
pub(crate) struct Host {
    options: SocketOptions,
    listener: Option<OwnedFd>,
    socket: Option<OwnedFd>,
    unsent: usize,
    finish: bool,
    error: Option<Errno>,
    /// Connections are taken when the script says so.
    patient: bool,
}

impl Host {
    pub(crate) fn new(options: SocketOptions) -> Host {
        Host { options, ..Host::default() }
    }

    fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        // RFC 6093, 6: "urgent data" is best read in line.
        sockopt::set_socket_oobinline(&socket, true)?;
        sockopt::set_tcp_nodelay(&socket, !self.options.nagle)?;
        sockopt::set_socket_send_buffer_size_force(&socket, self.options.send_buffer)?;
        sockopt::set_tcp_congestion(&socket, if self.options.newreno { "reno" } else { "cubic" })?;
        if let Some(idle) = self.options.keepalive {
            sockopt::set_socket_keepalive(&socket, true)?;
            sockopt::set_tcp_keepidle(&socket, idle)?;
            sockopt::set_tcp_keepintvl(&socket, Duration::from_secs(1))?;
            sockopt::set_tcp_keepcnt(&socket, 3)?;
        }
        if let Some(timeout) = self.options.user_timeout_ms {
            sockopt::set_tcp_user_timeout(&socket, timeout)?;
        }
        net::bind(&socket, &SocketAddrV4::new(HOST, PORTS.0))?;
        Ok(socket)
    }

    pub(crate) fn connect(&mut self) -> Result<(), Errno> {
        let socket = self.open()?;
        match net::connect(&socket, &SocketAddrV4::new(PEER, PORTS.1)) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        self.socket = Some(socket);
        Ok(())
    }

    /// `backlog`: and leave connections there until they are asked for.
    pub(crate) fn listen(&mut self, backlog: Option<usize>) -> Result<(), Errno> {
        let socket = self.open()?;
        net::listen(&socket, backlog.and_then(|backlog| i32::try_from(backlog).ok()).unwrap_or(16))?;
        self.patient = backlog.is_some();
        self.listener = Some(socket);
        Ok(())
    }

    /// Tries again what the kernel did not take before.
    pub(crate) fn turn(&mut self) {
        if !self.patient {
            self.accept();
        }
        let Some(socket) = &self.socket else { return };
        while self.unsent > 0 {
            let chunk = vec![7; self.unsent];
            match net::send(socket, &chunk, SendFlags::NOSIGNAL) {
                Ok(sent) => self.unsent -= sent,
                Err(Errno::AGAIN) => return,
                Err(error) => {
                    self.unsent = 0;
                    self.error.get_or_insert(error);
                }
            }
        }
        if self.finish && net::shutdown(socket, Shutdown::Write) != Err(Errno::NOTCONN) {
            self.finish = false;
        }
    }

    /// Takes a connection, if there is one.
    pub(crate) fn accept(&mut self) {
        if let Some(listener) = &self.listener
            && let Ok(socket) = net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
        {
            self.socket.get_or_insert(socket);
        }
    }

    pub(crate) fn write(&mut self, bytes: usize) {
        self.unsent += bytes;
        self.turn();
    }

    pub(crate) fn shutdown(&mut self) {
        self.finish = true;
        self.turn();
    }

    /// Bytes that are there.
    pub(crate) fn read(&mut self) -> usize {
        self.turn();
        let (mut count, mut buffer) = (0, vec![0; 65_536]);
        let Some(socket) = &self.socket else { return 0 };
        loop {
            match net::recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) | Err(Errno::AGAIN) => return count,
                Ok((bytes, _)) => count += bytes,
                Err(error) => {
                    self.error.get_or_insert(error);
                    return count;
                }
            }
        }
    }

    pub(crate) fn close(&mut self) {
        self.turn();
        self.socket = None;
    }

    /// RFC 9293, 3.10.5, in the words of sockets: to linger for no time.
    pub(crate) fn abort(&mut self) -> Result<(), Errno> {
        self.turn();
        if let Some(socket) = &self.socket {
            sockopt::set_socket_linger(socket.as_fd(), Some(Duration::ZERO))?;
        }
        self.socket = None;
        Ok(())
    }

    /// By the names that scripts have.
    pub(crate) fn error(&mut self) -> String {
        if self.error.is_none()
            && let Some(socket) = &self.socket
            && let Ok(Err(error)) = sockopt::socket_error(socket)
        {
            self.error = Some(error);
        }
        match self.error {
            None => "none".into(),
            Some(Errno::CONNRESET) => "reset".into(),
            Some(Errno::CONNREFUSED) => "refused".into(),
            Some(Errno::TIMEDOUT) => "timed-out".into(),
            Some(Errno::HOSTUNREACH | Errno::NETUNREACH) => "unreachable".into(),
            Some(other) => other.to_string(),
        }
    }
}

/// The connection's state as the kernel lists it; what is not listed is closed.
pub(crate) fn state() -> std::io::Result<&'static str> {
    let ports = |ours: u16, theirs: u16| (format!(":{ours:04X}"), format!(":{theirs:04X}"));
    let (ours, theirs) = ports(PORTS.0, PORTS.1);
    let table = std::fs::read_to_string("/proc/thread-self/net/tcp")?;
    for line in table.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [_, local, remote, state, ..] = words[..]
            && local.ends_with(&ours)
            && remote.ends_with(&theirs)
        {
            return Ok(match state {
                "01" => "ESTABLISHED",
                "02" => "SYN-SENT",
                "03" => "SYN-RECEIVED",
                "04" => "FIN-WAIT-1",
                "05" => "FIN-WAIT-2",
                "06" => "TIME-WAIT",
                "08" => "CLOSE-WAIT",
                "09" => "LAST-ACK",
                "0B" => "CLOSING",
                _ => "CLOSED",
            });
        }
    }
    Ok("CLOSED")
}
