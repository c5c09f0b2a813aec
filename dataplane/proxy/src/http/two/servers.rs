//! The servers of a session: one HTTP/2 connection to each, which all streams that go there share.
//!
//! A stream that wants a server asks [`Servers::poll`]; the first to ask makes the session begin a connection, which then
//! is a future of its own beside the streams ([`serve`]). A connection that was told GOAWAY, or has failed, is left to the
//! streams that are on it, and the next one to ask gets another.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context as Task, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};

use super::context::Context;
use super::flood::Meter;
use super::wire::Wire;
use crate::host::{ConnectError, Host, Level, Target};
use crate::http::event::Event;
use crate::http::limits;

/// See the module.
#[derive(Default)]
pub(super) struct Servers {
    list: RefCell<Vec<Rc<Server>>>,
    /// Those that nobody connects to, yet.
    wanted: RefCell<Vec<Rc<Server>>>,
    /// Of who connects.
    waker: RefCell<Option<Waker>>,
}

/// One of them.
pub(super) struct Server {
    target: Target,
    state: RefCell<State>,
    /// Streams that wait for it.
    wakers: RefCell<Vec<Waker>>,
    /// Requests that it was sent.
    requests: Cell<u64>,
}

enum State {
    Connecting,
    Ready(SendRequest<Bytes>),
    Failed(ConnectError),
    /// It takes no more requests.
    Gone,
}

/// A server for one request.
pub(super) struct Lease {
    pub send: SendRequest<Bytes>,
    /// It has been sent requests before.
    pub reused: bool,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoServer {
    Connect(ConnectError),
    /// The session's streams are at as many as they may be.
    TooMany,
}

impl Servers {
    /// A server for a request, once it is there.
    pub(super) fn poll(
        &self,
        cx: &mut Task<'_>,
        target: Target,
        count: impl Fn(Event),
    ) -> Poll<Result<Lease, NoServer>> {
        loop {
            let found = self.list.borrow().iter().find(|server| server.target == target).cloned();
            let Some(server) = found else {
                self.begin(target).map_err(|()| NoServer::TooMany)?;
                continue;
            };
            let mut state = server.state.borrow_mut();
            match &mut *state {
                State::Connecting => {
                    let mut wakers = server.wakers.borrow_mut();
                    if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                        wakers.push(cx.waker().clone());
                    }
                    return Poll::Pending;
                }
                State::Ready(send) => match send.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {
                        let reused = server.requests.replace(server.requests.get() + 1) > 0;
                        return Poll::Ready(Ok(Lease { send: send.clone(), reused }));
                    }
                    Poll::Ready(Err(_)) => {
                        count(Event::TwoServerGone);
                        *state = State::Gone;
                    }
                    Poll::Pending => return Poll::Pending,
                },
                State::Failed(error) => {
                    let error = *error;
                    drop(state);
                    self.forget(&server);
                    return Poll::Ready(Err(NoServer::Connect(error)));
                }
                State::Gone => {}
            }
            drop(state);
            self.forget(&server);
        }
    }

    /// Who connects takes what is wanted, and is woken when more is.
    pub(super) fn take_wanted(&self, cx: &Task<'_>) -> Vec<Rc<Server>> {
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        std::mem::take(&mut self.wanted.borrow_mut())
    }

    /// No more requests: each connection ends when the streams that are on it have.
    pub(super) fn close(&self) {
        for server in self.list.take() {
            server.becomes(State::Gone);
        }
    }

    fn begin(&self, target: Target) -> Result<(), ()> {
        let mut list = self.list.borrow_mut();
        if list.len() >= limits::SERVERS_MAX {
            return Err(());
        }
        let server = Rc::new(Server {
            target,
            state: RefCell::new(State::Connecting),
            wakers: RefCell::default(),
            requests: Cell::new(0),
        });
        list.push(Rc::clone(&server));
        self.wanted.borrow_mut().push(server);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
        Ok(())
    }

    fn forget(&self, server: &Rc<Server>) {
        self.list.borrow_mut().retain(|one| !Rc::ptr_eq(one, server));
    }
}

impl Server {
    fn becomes(&self, state: State) {
        *self.state.borrow_mut() = state;
        for waker in self.wakers.take() {
            waker.wake();
        }
    }
}

/// Connects to a server and moves the bytes of its connection, to its end.
pub(super) async fn serve<H: Host>(context: Rc<Context<H>>, server: Rc<Server>) {
    let stream = match context.host.connect(context.id, server.target).await {
        Ok(stream) => stream,
        Err(error) => return server.becomes(State::Failed(error)),
    };
    let wire = Wire::new(stream, Meter::of_server(context.host.now()));
    wire.tick(context.host.now());
    let made = client().handshake::<_, Bytes>(wire.clone()).await;
    let Ok((send, connection)) = made else { return server.becomes(State::Failed(ConnectError::Refused)) };
    context.count(Event::TwoServer);
    server.becomes(State::Ready(send));
    let mut connection = pin!(connection);
    let mut written = 0;
    let ended = poll_fn(|cx| {
        wire.tick(context.host.now());
        let polled = connection.as_mut().poll(cx);
        context.to_server.set(context.to_server.get() + (wire.written() - written));
        written = wire.written();
        context.count_times(Event::TwoServerReset, wire.take_tally().resets);
        if wire.is_stalled() {
            cx.waker().wake_by_ref();
        }
        match wire.flood() {
            Some(flood) => Poll::Ready(Err(flood)),
            None => polled.map(Ok),
        }
    })
    .await;
    if matches!(*server.state.borrow(), State::Ready(_)) {
        context.count(Event::TwoServerGone);
    }
    server.becomes(State::Gone);
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            if error.is_library() {
                context.count(Event::TwoServerProtocol);
            }
            context.host.log(context.id, Level::Info, format_args!("HTTP/2 with the server: {error}"));
        }
        Err(flood) => {
            context.count(Event::TwoServerFlood);
            let text = format_args!("the server: {}", flood.sentence());
            context.host.log(context.id, Level::Warning, text);
        }
    }
}

/// What we are to servers.
fn client() -> Builder {
    let mut client = Builder::new();
    client
        .enable_push(false)
        .initial_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_header_list_size(limits::HEADER_LIST_MAX)
        .max_send_buffer_size(limits::STREAM_SEND_MAX)
        .max_concurrent_reset_streams(limits::RESET_STREAMS_MAX)
        .reset_stream_duration(limits::RESET_STREAMS_TIME);
    client
}
