//! The server of a detected session: connected already, for its greeting, and handed to the inner proxy with all it said.

use std::cell::RefCell;

use super::event::Event;
use super::limits::GIVE_UP;
use crate::host::{ConnectError, Host, Target};
use crate::session::SessionId;
use crate::stack::{BoxStream, LocalFuture, Upstream, boxed};

/// See the module.
pub(super) struct Opened<H: Host> {
    host: H,
    server: RefCell<Option<H::Stream>>,
}

impl<H: Host> Opened<H> {
    pub(super) fn new(host: H, server: H::Stream) -> Self {
        Opened { host, server: RefCell::new(Some(server)) }
    }
}

impl<H: Host> Upstream for Opened<H> {
    fn connect(&self, session: SessionId, target: Target) -> LocalFuture<'_, Result<BoxStream, ConnectError>> {
        Box::pin(async move {
            if let Some(server) = self.server.take() {
                if target == Target::Original {
                    return Ok(boxed(server));
                }
                // The new connection may be to the same server from the same port: the old one must be gone before.
                drop(server);
                self.host.count(Event::ServerAnew.into());
                self.host.sleep(GIVE_UP).await;
            }
            self.host.connect(session, target).await.map(boxed)
        })
    }
}
