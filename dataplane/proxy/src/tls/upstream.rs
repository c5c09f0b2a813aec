//! Servers as a stacked proxy sees them: in clear here, perhaps TLS on the wire.
//!
//! The first connection is the one that was made before the client was answered. Further ones (an HTTP proxy's next
//! request after the server closed) are made and judged alike: a server that was trusted then has to be trusted again.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::Settings;
use super::handshake::{Unsecured, secure};
use super::stream::TlsStream;
use crate::host::{ConnectError, Host, Level, Target};
use crate::session::SessionId;
use crate::stack::{BoxStream, LocalFuture, Upstream, boxed};

/// See the module.
pub(super) struct Servers<H> {
    pub(super) host: H,
    /// The connection that is there already.
    pub(super) first: RefCell<Option<BoxStream>>,
    /// Where it goes, if a proxy names that.
    pub(super) original: SocketAddr,
    /// How to speak TLS with further ones; `None`: they are spoken to in clear.
    pub(super) tls: Option<Again>,
}

/// How it was done, to be done again.
pub(super) struct Again {
    pub(super) settings: Arc<Settings>,
    pub(super) name: ServerName<'static>,
    /// The protocol that the client was promised, if any.
    pub(super) alpn: Vec<Vec<u8>>,
    /// Servers have to be trusted.
    pub(super) demand: bool,
}

impl<H: Host> Upstream for Servers<H> {
    fn connect(&self, session: SessionId, target: Target) -> LocalFuture<'_, Result<BoxStream, ConnectError>> {
        Box::pin(async move {
            let same = target == Target::Original || target == Target::Address(self.original);
            if let Some(first) = self.first.take()
                && same
            {
                return Ok(first);
            }
            let io = self.host.connect(session, target).await?;
            match &self.tls {
                Some(again) => again.secure(&self.host, session, io).await,
                None => Ok(boxed(io)),
            }
        })
    }
}

impl Again {
    async fn secure<H: Host>(&self, host: &H, session: SessionId, io: H::Stream) -> Result<BoxStream, ConnectError> {
        self.settings.clock.set(host.wall_clock());
        let connection = self.settings.to_server.connection(self.name.clone(), &self.alpn, self.demand);
        let (connection, _) = connection.map_err(|_| ConnectError::Denied)?;
        let mut stream = TlsStream::client(io, connection);
        if let Err(error) = secure(host, self.settings.handshake, &mut stream).await {
            host.log(session, Level::Info, format_args!("TLS with the server again: {error}"));
            return Err(if error == Unsecured::TooSlow { ConnectError::TimedOut } else { ConnectError::Denied });
        }
        if stream.alpn() != self.alpn.first().map(Vec::as_slice) {
            host.log(session, Level::Info, format_args!("the server speaks another protocol than before"));
            return Err(ConnectError::Denied);
        }
        stream.set_truncation(self.settings.truncation);
        Ok(Box::new(stream))
    }
}

#[cfg(test)]
mod tests;
