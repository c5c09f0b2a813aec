//! The server's connection of a session: one at a time, kept from request to request as long as both sides want it.
//!
//! What a server says while nothing is asked of it is no answer to what is asked next: its connection is closed.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use super::event::Event;
use crate::host::{ConnectError, Host, Target};
use crate::outcome::{Reason, Side};
use crate::session::SessionId;
use crate::stream::Stream;

/// See the module.
pub(super) struct Upstream<S> {
    pub stream: Option<S>,
    target: Target,
}

/// Why there is no server for a request.
pub(super) enum NoServer {
    /// It could not be had.
    Connect(ConnectError),
    /// The client went away meanwhile.
    Client(Reason),
}

impl<S: Stream> Upstream<S> {
    pub(super) fn new() -> Upstream<S> {
        Upstream { stream: None, target: Target::Original }
    }

    /// Listens to an idle server: it may close, and must not speak.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) -> Option<Event> {
        let said = match self.stream.as_mut()?.poll_read(cx) {
            Poll::Pending => return None,
            Poll::Ready(said) => said,
        };
        let spoke = matches!(said, Ok(Some(_)));
        self.close();
        spoke.then_some(Event::Unsolicited)
    }

    /// Makes sure of a connection to the target; `true`: it was there already.
    pub(super) async fn ready<H: Host<Stream = S>>(
        &mut self,
        host: &H,
        id: SessionId,
        client: &mut S,
        target: Target,
    ) -> Result<bool, NoServer> {
        if self.target != target {
            self.close();
        }
        if self.stream.is_some() {
            let event = poll_fn(|cx| Poll::Ready(self.watch(cx))).await;
            if let Some(event) = event {
                host.count(event.into());
            }
            if self.stream.is_some() {
                return Ok(true);
            }
        }
        self.target = target;
        let mut connecting = pin!(host.connect(id, target));
        let connected = poll_fn(|cx| {
            if let Poll::Ready(connected) = connecting.as_mut().poll(cx) {
                return Poll::Ready(connected.map_err(NoServer::Connect));
            }
            client.poll_failed(cx).map(|error| Err(NoServer::Client(Reason::failed(Side::Client, error))))
        });
        self.stream = Some(connected.await?);
        Ok(false)
    }

    /// Ends the connection in good order.
    pub(super) fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.shutdown();
        }
    }

    /// Resets it: what was asked is not wanted any more.
    pub(super) fn abort(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.abort();
        }
    }
}
