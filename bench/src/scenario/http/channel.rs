//! What is said on a connection of the bench: as it is, or in TLS by the library, each end by itself.

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use tcp::Instant;

/// The host that all clients mean.
pub(super) const HOST: &str = "bench.example";

/// One end.
pub(super) struct Channel(Option<Box<Connection>>);

impl Channel {
    /// A client's; in TLS if it has a configuration for that.
    pub(super) fn client(tls: Option<Arc<ClientConfig>>) -> Channel {
        Channel(tls.map(|config| {
            let name = ServerName::try_from(HOST).expect("a name");
            Box::new(Connection::from(ClientConnection::new(config, name).expect("a configuration that fits")))
        }))
    }

    /// A server's.
    pub(super) fn server(tls: Option<Arc<ServerConfig>>) -> Channel {
        Channel(tls.map(|config| {
            Box::new(Connection::from(ServerConnection::new(config).expect("a configuration that fits")))
        }))
    }

    /// Whether requests may be sent.
    pub(super) fn is_ready(&self) -> bool {
        self.0.as_ref().is_none_or(|tls| !tls.is_handshaking())
    }

    /// Sends what TLS has to say by itself.
    pub(super) fn flush(&mut self, connection: &mut tcp::Connection<Bytes>) {
        let Some(tls) = &mut self.0 else { return };
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records).expect("memory takes it");
        }
        if !records.is_empty() {
            connection.write(records.into());
        }
    }

    /// What has come, in the pieces it came in.
    pub(super) fn read(&mut self, connection: &mut tcp::Connection<Bytes>) -> Vec<Bytes> {
        let mut said = Vec::new();
        while let Some(bytes) = connection.read() {
            let Some(tls) = &mut self.0 else {
                said.push(bytes);
                continue;
            };
            let mut left = &bytes[..];
            while !left.is_empty() {
                tls.read_tls(&mut left).expect("memory gives it");
                let state = tls.process_new_packets().expect("the gateway speaks TLS");
                let mut clear = vec![0; state.plaintext_bytes_to_read()];
                if !clear.is_empty() {
                    tls.reader().read_exact(&mut clear).expect("it said how much there is");
                    said.push(clear.into());
                }
            }
        }
        self.flush(connection);
        said
    }

    /// Says something.
    pub(super) fn write(&mut self, connection: &mut tcp::Connection<Bytes>, bytes: &Bytes) {
        match &mut self.0 {
            None => connection.write(bytes.clone()),
            Some(tls) => {
                tls.writer().write_all(bytes).expect("there is room");
                self.flush(connection);
            }
        }
    }

    /// Says that this was all.
    pub(super) fn finish(&mut self, now: Instant, connection: &mut tcp::Connection<Bytes>) {
        if let Some(tls) = &mut self.0 {
            tls.send_close_notify();
            self.flush(connection);
        }
        connection.shutdown(now);
    }
}
